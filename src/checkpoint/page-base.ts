/**
 * Where the pages of a process stand in its cores as of its last checkpoint, page by page: what a delta inherits from, and
 * while the next one is planned, what that is to be. Columns of numbers: 10 bytes a page, whatever was written when.
 */
import { hex, PAGE_BYTES, RUN_BYTES_MAX } from "../state/address.js";
import { joinChecksums } from "../state/page-checksums.js";
import type { Span } from "../tracee/range-list.js";
import { CopyGap } from "./copy-gap.js";
import { Extents } from "./extents.js";
import { neverCopied, type PlaceBook } from "./places.js";

/** Pages next to one another in memory and in one core. */
export interface BasePiece extends Span {
  /** Number of the core in its chain, the whole one first. */
  readonly level: number;
  readonly fileOffset: number;
  /** CRC32C of each page. */
  readonly checksums: Uint32Array;
}

const NOWHERE = 0xffff;
const PAGES_A_RUN = RUN_BYTES_MAX / PAGE_BYTES;

/** Pages next to one another in memory and in one core, as columns: numbers of the first and behind the last, and of its stretch. */
export interface PageRuns {
  readonly firsts: Uint32Array;
  readonly ends: Uint32Array;
  readonly stretches: Uint32Array;
  readonly count: number;
}

export class PageBase {
  readonly #stretches: Extents;
  readonly #levels: Uint16Array;
  /** In pages, from the beginning of the file. */
  readonly #places: Uint32Array;
  readonly #checksums: Uint32Array;
  /** 0 where a page stands behind the one before it in the same core, or both stand nowhere: so many need no look. */
  readonly #begins: Uint8Array;

  private constructor(stretches: Extents, pages: number) {
    this.#stretches = stretches;
    this.#levels = new Uint16Array(pages).fill(NOWHERE);
    [this.#places, this.#checksums] = [new Uint32Array(pages), new Uint32Array(pages)];
    this.#begins = new Uint8Array(pages);
    for (let stretch = 0; stretch < stretches.count; stretch += 1) {
      this.#begins[stretches.pages[stretch] as number] = 1;
    }
  }

  /** These pages have got places of their own, so that what begins at the first, and behind the last, is another run. */
  #cut(first: number, end: number): void {
    this.#begins[first] = 1;
    if (end < this.#begins.length) this.#begins[end] = 1;
  }

  /** With room for the pages of the spans, which are in order and apart, and none of which has a place. */
  static over(spans: readonly Span[]): PageBase {
    const stretches = new Extents(spans.length);
    let pages = 0;
    for (const { start, end } of spans) {
      stretches.add(start, end, { fileOffset: 0, page: pages });
      pages += (end - start) / PAGE_BYTES;
    }
    return new PageBase(stretches, pages);
  }

  /** All that there is room for, in order of address. */
  get spans(): Span[] {
    const { starts, ends, count } = this.#stretches;
    return Array.from({ length: count }, (_, at) => ({
      start: starts[at] as number,
      end: ends[at] as number,
    }));
  }

  /** Of pieces in any order, none of which overlap. */
  static of(pieces: readonly BasePiece[]): PageBase {
    const sorted = [...pieces].sort((a, b) => a.start - b.start);
    const base = PageBase.over(sorted);
    for (const [stretch, { level, fileOffset, checksums }] of sorted.entries()) {
      const first = base.#stretches.pages[stretch] as number;
      base.#levels.fill(level, first, first + checksums.length);
      base.#checksums.set(checksums, first);
      const place = fileOffset / PAGE_BYTES;
      for (let page = 0; page < checksums.length; page += 1) base.#places[first + page] = place + page;
    }
    return base;
  }

  /** The same without the pages of these spans, which are in order. */
  without(spans: readonly Span[]): PageBase {
    if (spans.length === 0) return this;
    const left = new PageBase(this.#stretches, this.#levels.length);
    left.#levels.set(this.#levels);
    left.#places.set(this.#places);
    left.#checksums.set(this.#checksums);
    left.#begins.set(this.#begins);
    this.#stretches.within(spans, ({ extent: stretch, start, end }) => {
      const [first, last] = [this.#stretches.pageOf(stretch, start), this.#stretches.pageOf(stretch, end)];
      left.#levels.fill(NOWHERE, first, last);
      left.#cut(first, last);
    });
    return left;
  }

  /** Takes over what another one knows of the pages here. */
  inherit(other: PageBase): void {
    this.#stretches.within(other.#stretches, ({ extent: stretch, start, end, span: index }) => {
      const to = this.#stretches.pageOf(stretch, start);
      const from = other.#stretches.pageOf(index, start);
      const last = other.#stretches.pageOf(index, end);
      this.#levels.set(other.#levels.subarray(from, last), to);
      this.#places.set(other.#places.subarray(from, last), to);
      this.#checksums.set(other.#checksums.subarray(from, last), to);
      this.#begins.set(other.#begins.subarray(from, last), to);
      this.#cut(to, to + last - from);
    });
  }

  /** Takes over the pages of a book, as those of a core of that number. CopyGap where one has a place and no copy. */
  lay(book: PlaceBook, level: number): void {
    const [levels, places, sums, begins] = [this.#levels, this.#places, this.#checksums, this.#begins];
    const { extents, checksums, copied } = book.all;
    this.#stretches.within(extents, ({ extent: stretch, start, end, span: extent }) => {
      const from = extents.pageOf(extent, start);
      const to = this.#stretches.pageOf(stretch, start);
      const skipped = start - (extents.starts[extent] as number);
      const place = ((extents.offsets[extent] as number) + skipped) / PAGE_BYTES;
      const count = (end - start) / PAGE_BYTES;
      for (let page = 0; page < count; page += 1) {
        if (copied[from + page] !== 1) throw neverCopied(start + page * PAGE_BYTES);
        places[to + page] = place + page;
      }
      if (count === 1) sums[to] = checksums[from] as number;
      else sums.set(checksums.subarray(from, from + count), to);
      levels.fill(level, to, to + count);
      begins.fill(0, to, to + count);
      this.#cut(to, to + count);
    });
  }

  /**
   * All pages in order of address, as runs: next to one another in memory and in one core, 1 MiB at most, of one of the
   * spans that there was room for. CopyGap at a page that has no place, unless they are `optional`.
   */
  runs(optional = false): PageRuns {
    const room = this.#runsMax();
    const [firsts, behind, stretches] = [new Uint32Array(room), new Uint32Array(room), new Uint32Array(room)];
    const { starts, ends, pages, count } = this.#stretches;
    const [begins, levels] = [this.#begins, this.#levels];
    let runs = 0;
    for (let stretch = 0; stretch < count; stretch += 1) {
      const first = pages[stretch] as number;
      const last = first + ((ends[stretch] as number) - (starts[stretch] as number)) / PAGE_BYTES;
      for (let page = first, next = first; page < last; page = next) {
        const most = Math.min(last, page + PAGES_A_RUN);
        next = page + 1;
        while (next < most && begins[next] === 0) next += 1;
        if (levels[page] === NOWHERE) {
          if (optional) continue;
          throw this.#gapAt(page, stretch);
        }
        firsts[runs] = page;
        behind[runs] = next;
        stretches[runs] = stretch;
        runs += 1;
      }
    }
    return { firsts, ends: behind, stretches, count: runs };
  }

  /** No more runs than this begin: where one must, and behind each full one. */
  #runsMax(): number {
    const begins = this.#begins;
    let count = Math.ceil(begins.length / PAGES_A_RUN);
    for (let page = 0; page < begins.length; page += 1) count += begins[page] as number;
    return count;
  }

  /** Address of a page of that stretch. */
  addressOf(page: number, stretch: number): number {
    const { starts, pages } = this.#stretches;
    return (starts[stretch] as number) + (page - (pages[stretch] as number)) * PAGE_BYTES;
  }

  /** The core that a page is in, by its number. */
  levelOf(page: number): number {
    return this.#levels[page] as number;
  }

  /** Its place there, in bytes. */
  placeOf(page: number): number {
    return (this.#places[page] as number) * PAGE_BYTES;
  }

  /** Checksums of pages. */
  checksumsOf(first: number, end: number): Uint32Array {
    return this.#checksums.subarray(first, end);
  }

  /** CRC32C of pages next to one another. */
  checksumOf(first: number, end: number): number {
    return joinChecksums(this.#checksums, first, end);
  }

  /** How many pages have that checksum. */
  countOf(checksum: number, first: number, end: number): number {
    let count = 0;
    for (let page = first; page < end; page += 1) if (this.#checksums[page] === checksum) count += 1;
    return count;
  }

  /** What has a place, in order of address, in pieces as long as may be. */
  get pieces(): BasePiece[] {
    const pieces: BasePiece[] = [];
    const { firsts, ends, stretches, count } = this.runs(true);
    for (let run = 0; run < count; run += 1) {
      const [first, end] = [firsts[run] as number, ends[run] as number];
      const start = this.addressOf(first, stretches[run] as number);
      const [fileOffset, level] = [this.placeOf(first), this.levelOf(first)];
      const piece = { start, end: start + (end - first) * PAGE_BYTES, level, fileOffset };
      const last = pieces.at(-1);
      const isNext =
        last?.end === start && last.level === level && last.fileOffset + last.end - last.start === fileOffset;
      // Pages of what is next to one another have numbers that are, too.
      const from = first - (isNext ? last.checksums.length : 0);
      if (isNext)
        pieces[pieces.length - 1] = { ...last, end: piece.end, checksums: this.checksumsOf(from, end) };
      else pieces.push({ ...piece, checksums: this.checksumsOf(from, end) });
    }
    return pieces;
  }

  #gapAt(page: number, stretch: number): CopyGap {
    const address = hex(BigInt(this.addressOf(page, stretch)));
    return new CopyGap(`the page at ${address} is in no core and was not written since the last`);
  }
}
