/**
 * Where pages stand in the core while they are copied in rounds: a page keeps the place it got first, so its last copy
 * wins. New pages get places behind all others. Keeps the checksum of each page beside. Pure arithmetic, on columns of
 * numbers: a delta has tens of thousands of pages that stand alone.
 */
import { PAGE_BYTES } from "../state/address.js";
import { joinChecksums } from "../state/page-checksums.js";
import { GONE_CHECKSUM } from "../tracee/memory.js";
import { RangeList, type Span } from "../tracee/range-list.js";
import { CopyGap } from "./copy-gap.js";
import { Extents } from "./extents.js";

/** CRC32C of a page of zeros. */
export const ZERO_CHECKSUM = 0x98f9_4189;

/** Pages and where they stand. */
export interface Placed extends Span {
  readonly fileOffset: number;
}

export class PlaceBook {
  #extents = new Extents(0);
  /** Checksum of each page, and 1 where it has been copied, by its number: extents have pages one behind the other. */
  #checksums = new Uint32Array();
  #copied = new Uint8Array();
  #pages = 0;
  #endOffset: number;
  /** Some page was gone once. */
  #hasGone = false;

  /** The first place is at `firstOffset` of the file, a whole page. */
  constructor(firstOffset: number) {
    this.#endOffset = firstOffset;
  }

  /** Takes over places of pages that were copied before, in order of address; the book is empty. */
  adopt(pieces: readonly (Placed & { readonly checksums: Uint32Array })[]): void {
    const pages = pieces.reduce((sum, { checksums }) => sum + checksums.length, 0);
    this.#makeRoom(pages);
    this.#extents = new Extents(pieces.length);
    for (const { start, end, fileOffset, checksums } of pieces) {
      this.#endOffset = Math.max(this.#endOffset, fileOffset + end - start);
      this.#checksums.set(checksums, this.#pages);
      this.#copied.fill(1, this.#pages, this.#pages + checksums.length);
      this.#extents.add(start, end, { fileOffset, page: this.#pages });
      this.#pages += checksums.length;
    }
  }

  /** First byte of the file behind all places. */
  get endOffset(): number {
    return this.#endOffset;
  }

  /** Leaves the bytes up to `offset` to something else. */
  skipTo(offset: number): void {
    if (offset < this.#endOffset || offset % PAGE_BYTES !== 0) throw new RangeError(`no place at ${offset}`);
    this.#endOffset = offset;
  }

  /** Gives every page of the spans, which are in order, a place where it has none. */
  cover(spans: readonly Span[]): void {
    const fresh = new Extents(spans.length);
    let pages = this.#pages;
    this.#extents.outside(spans, (start, end) => {
      fresh.add(start, end, { fileOffset: this.#endOffset, page: pages });
      this.#endOffset += end - start;
      pages += (end - start) / PAGE_BYTES;
    });
    if (fresh.count === 0) return;
    this.#makeRoom(pages);
    this.#pages = pages;
    this.#extents = this.#extents.and(fresh);
  }

  /** Room for so many pages; a little more than that, once there are some. */
  #makeRoom(pages: number): void {
    if (pages <= this.#copied.length) return;
    const room = this.#pages === 0 ? pages : pages + (pages >> 2);
    const [checksums, copied] = [new Uint32Array(room), new Uint8Array(room)];
    checksums.set(this.#checksums);
    copied.set(this.#copied);
    this.#checksums = checksums;
    this.#copied = copied;
  }

  /** Places of the spans, all of which are covered. `from` gives each a source other than its address. */
  ranges(spans: readonly Span[], from?: (span: Span) => number): RangeList {
    const list = new RangeList(spans.length);
    const { starts, offsets } = this.#extents;
    this.#extents.within(spans, ({ extent, start, end, span }) => {
      const source =
        from === undefined ? start : from(spans[span] as Span) + start - (spans[span] as Span).start;
      list.add(
        source,
        source + end - start,
        (offsets[extent] as number) + start - (starts[extent] as number),
      );
    });
    return list;
  }

  /** Takes down the checksums of a copy of the spans, in the same order. */
  note(spans: readonly Span[], checksums: Uint32Array): void {
    let next = 0;
    this.#hasGone ||= checksums.includes(GONE_CHECKSUM);
    this.#extents.within(spans, ({ extent, start, end }) => {
      const first = this.#extents.pageOf(extent, start);
      const count = (end - start) / PAGE_BYTES;
      // A view of each page that stands alone would cost more than the page.
      if (count === 1) {
        this.#checksums[first] = checksums[next] as number;
        this.#copied[first] = 1;
      } else {
        this.#checksums.set(checksums.subarray(next, next + count), first);
        this.#copied.fill(1, first, first + count);
      }
      next += count;
    });
  }

  /** Pages that were gone when they were to be copied. */
  gone(): Span[] {
    if (!this.#hasGone) return [];
    const isGone = (page: number) => this.#checksums[page] === GONE_CHECKSUM;
    return this.#where(isGone, { among: this.#extents, inFile: false });
  }

  /** The pieces of the span that have a place in the file, with it. */
  placed(span: Span): Placed[] {
    const pieces: Placed[] = [];
    const { starts, offsets } = this.#extents;
    this.#extents.within([span], ({ extent, start, end }) => {
      pieces.push({
        start,
        end,
        fileOffset: (offsets[extent] as number) + start - (starts[extent] as number),
      });
    });
    return pieces;
  }

  /** The checksum of each page of a span inside one extent. */
  checksums({ start, end }: Span): Uint32Array {
    const first = this.#extents.pageOf(this.#extents.indexAt(start), start);
    return this.#checksums.subarray(first, first + (end - start) / PAGE_BYTES);
  }

  /** All places, with the columns that their page numbers lead to. */
  get all(): { readonly extents: Extents; readonly checksums: Uint32Array; readonly copied: Uint8Array } {
    return { extents: this.#extents, checksums: this.#checksums, copied: this.#copied };
  }

  /** Takes the places of the spans, in any order, away from them: they stand somewhere else. */
  drop(spans: readonly Span[]): void {
    this.#extents = this.#extents.without([...spans].sort((a, b) => a.start - b.start));
  }

  /** CRC32C of a span inside one extent, all of which has been copied: CopyGap else. */
  checksum({ start, end }: Span): number {
    const extent = this.#extents.indexAt(start);
    const { starts, ends } = this.#extents;
    if (!((starts[extent] as number) <= start && end <= (ends[extent] as number))) {
      throw new RangeError(`the pages at 0x${start.toString(16)} have no place of their own`);
    }
    const first = this.#extents.pageOf(extent, start);
    const last = first + (end - start) / PAGE_BYTES;
    if (this.#copied.subarray(first, last).includes(0)) throw neverCopied(start);
    return joinChecksums(this.#checksums.subarray(first, last));
  }

  /** How many pages of the spans are zero. */
  zeroPages(spans: readonly Span[]): number {
    let zero = 0;
    this.#extents.within(spans, ({ extent, start, end }) => {
      const first = this.#extents.pageOf(extent, start);
      const last = first + (end - start) / PAGE_BYTES;
      for (let page = first; page < last; page += 1) if (this.#checksums[page] === ZERO_CHECKSUM) zero += 1;
    });
    return zero;
  }

  /** Spans of the file with copies of pages that are in none of `kept` (in order): what has gone meanwhile. */
  leftovers(kept: readonly Span[]): Span[] {
    return this.#where((page) => this.#copied[page] === 1, {
      among: this.#extents.without(kept),
      inFile: true,
    });
  }

  /** Runs of pages, in order, by address or by place in the file. */
  #where(
    test: (page: number) => boolean,
    { among, inFile }: { readonly among: Extents; readonly inFile: boolean },
  ): Span[] {
    const found: { start: number; end: number }[] = [];
    const { starts, ends, offsets, pages, count } = among;
    for (let extent = 0; extent < count; extent += 1) {
      const [start, end, first] = [starts[extent] as number, ends[extent] as number, pages[extent] as number];
      const base = (inFile ? (offsets[extent] as number) : start) - start;
      for (let at = start, page = first; at < end; at += PAGE_BYTES, page += 1) {
        if (!test(page)) continue;
        const last = found.at(-1);
        if (last?.end === base + at) last.end += PAGE_BYTES;
        else found.push({ start: base + at, end: base + at + PAGE_BYTES });
      }
    }
    return found;
  }
}

/** A page that is to be in the core and was left out of every round. */
export function neverCopied(address: number): CopyGap {
  return new CopyGap(`a page at 0x${address.toString(16)} is to be stored and was never copied`);
}
