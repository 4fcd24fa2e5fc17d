/**
 * Where pages stand in the core while they are copied in rounds: a page keeps the place it got first, so its last copy
 * wins. New pages get places behind all others. Keeps the checksum of each page beside. Pure arithmetic.
 */
import { PAGE_BYTES } from "../state/address.js";
import { joinChecksums } from "../state/page-checksums.js";
import { GONE_CHECKSUM } from "../tracee/memory.js";
import { RangeList, type Span } from "../tracee/range-list.js";
import { CopyGap } from "./copied-memory.js";

/** CRC32C of a page of zeros. */
const ZERO_CHECKSUM = 0x98f9_4189;

/** Pages next to one another in memory and in the file. */
interface Extent extends Span {
  readonly fileOffset: number;
  readonly checksums: Uint32Array;
  /** 1 where something has been copied. */
  readonly copied: Uint8Array;
}

/** Pages and where they stand. */
export interface Placed extends Span {
  readonly fileOffset: number;
}

/** A part of an extent. */
interface Piece extends Span {
  readonly extent: Extent;
}

function cutExtent(extent: Extent, start: number, end: number): Extent {
  const [first, last] = [(start - extent.start) / PAGE_BYTES, (end - extent.start) / PAGE_BYTES];
  return {
    start,
    end,
    fileOffset: extent.fileOffset + start - extent.start,
    checksums: extent.checksums.subarray(first, last),
    copied: extent.copied.subarray(first, last),
  };
}

export class PlaceBook {
  #extents: Extent[] = [];
  #endOffset: number;
  /** Some page was gone once. */
  #hasGone = false;

  /** The first place is at `firstOffset` of the file, a whole page. */
  constructor(firstOffset: number) {
    this.#endOffset = firstOffset;
  }

  /** Takes over places of pages that were copied before; the book is empty. */
  adopt(pieces: readonly (Placed & { readonly checksums: Uint32Array })[]): void {
    this.#extents = pieces.map(({ start, end, fileOffset, checksums }) => {
      this.#endOffset = Math.max(this.#endOffset, fileOffset + end - start);
      const copied = new Uint8Array(checksums.length).fill(1);
      return { start, end, fileOffset, checksums: checksums.slice(), copied };
    });
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
    const fresh: Extent[] = [];
    for (const span of spans) {
      let at = span.start;
      for (const { start, end } of this.#pieces(span)) {
        if (start > at) fresh.push(this.#place({ start: at, end: start }));
        at = end;
      }
      if (at < span.end) fresh.push(this.#place({ start: at, end: span.end }));
    }
    if (fresh.length === 0) return;
    this.#extents = [...this.#extents, ...fresh].sort((a, b) => a.start - b.start);
  }

  #place({ start, end }: Span): Extent {
    const pages = (end - start) / PAGE_BYTES;
    const fileOffset = this.#endOffset;
    this.#endOffset += end - start;
    return { start, end, fileOffset, checksums: new Uint32Array(pages), copied: new Uint8Array(pages) };
  }

  /** Places of the spans, all of which are covered. `from` gives each a source other than its address. */
  ranges(spans: readonly Span[], from?: (span: Span) => number): RangeList {
    const list = new RangeList(spans.length);
    for (const span of spans) {
      for (const { extent, start, end } of this.#pieces(span)) {
        const source = from === undefined ? start : from(span) + start - span.start;
        list.add(source, source + end - start, extent.fileOffset + start - extent.start);
      }
    }
    return list;
  }

  /** Takes down the checksums of a copy of the spans, in the same order. */
  note(spans: readonly Span[], checksums: Uint32Array): void {
    let next = 0;
    this.#hasGone ||= checksums.includes(GONE_CHECKSUM);
    for (const span of spans) {
      for (const { extent, start, end } of this.#pieces(span)) {
        const first = (start - extent.start) / PAGE_BYTES;
        const count = (end - start) / PAGE_BYTES;
        extent.checksums.set(checksums.subarray(next, next + count), first);
        extent.copied.fill(1, first, first + count);
        next += count;
      }
    }
  }

  /** Pages that were gone when they were to be copied. */
  gone(): Span[] {
    if (!this.#hasGone) return [];
    return this.#where((extent, page) => extent.checksums[page] === GONE_CHECKSUM);
  }

  /** The pieces of the span that have a place in the file, with it. */
  placed(span: Span): Placed[] {
    return this.#pieces(span).map(({ extent, start, end }) => ({
      start,
      end,
      fileOffset: extent.fileOffset + start - extent.start,
    }));
  }

  /** The checksum of each page of a span inside one extent. */
  checksums({ start, end }: Span): Uint32Array {
    const [piece] = this.#pieces({ start, end });
    const first = (start - (piece?.extent.start ?? 0)) / PAGE_BYTES;
    return piece?.extent.checksums.subarray(first, first + (end - start) / PAGE_BYTES) ?? new Uint32Array();
  }

  /** Takes the places of the spans, in any order, away from them: they stand somewhere else. */
  drop(spans: readonly Span[]): void {
    const sorted = [...spans].sort((a, b) => a.start - b.start);
    let next = 0;
    this.#extents = this.#extents.flatMap((extent) => {
      const left: Extent[] = [];
      let at = extent.start;
      while ((sorted[next]?.end ?? Number.POSITIVE_INFINITY) <= extent.start) next += 1;
      for (let index = next; at < extent.end; index += 1) {
        const start = Math.min(sorted[index]?.start ?? extent.end, extent.end);
        if (start > at) left.push(cutExtent(extent, at, start));
        at = Math.max(at, sorted[index]?.end ?? extent.end);
      }
      return left;
    });
  }

  /** CRC32C of a span inside one extent, all of which has been copied: CopyGap else. */
  checksum({ start, end }: Span): number {
    const [piece] = this.#pieces({ start, end });
    if (piece === undefined || piece.start !== start || piece.end !== end) {
      throw new RangeError(`the pages at 0x${start.toString(16)} have no place of their own`);
    }
    const { checksums, copied } = piece.extent;
    const first = (start - piece.extent.start) / PAGE_BYTES;
    const last = first + (end - start) / PAGE_BYTES;
    if (copied.subarray(first, last).includes(0)) {
      throw new CopyGap(`a page at 0x${start.toString(16)} is to be stored and was never copied`);
    }
    return joinChecksums(checksums.subarray(first, last));
  }

  /** How many pages of the spans are zero. */
  zeroPages(spans: readonly Span[]): number {
    let zero = 0;
    for (const span of spans) {
      for (const { extent, start, end } of this.#pieces(span)) {
        const last = (end - extent.start) / PAGE_BYTES;
        for (let page = (start - extent.start) / PAGE_BYTES; page < last; page += 1) {
          if (extent.checksums[page] === ZERO_CHECKSUM) zero += 1;
        }
      }
    }
    return zero;
  }

  /** Spans of the file with copies of pages that are in none of `kept` (in order): what has gone meanwhile. */
  leftovers(kept: readonly Span[]): Span[] {
    let next = 0;
    const isKept = (address: number): boolean => {
      while ((kept[next]?.end ?? Number.POSITIVE_INFINITY) <= address) next += 1;
      return (kept[next]?.start ?? Number.POSITIVE_INFINITY) <= address;
    };
    return this.#where(
      ({ start, copied }, page) => copied[page] === 1 && !isKept(start + page * PAGE_BYTES),
      true,
    );
  }

  /** Runs of pages, in order, by address or by place in the file. */
  #where(test: (extent: Extent, page: number) => boolean, inFile = false): Span[] {
    const found: { start: number; end: number }[] = [];
    for (const extent of this.#extents) {
      const base = inFile ? extent.fileOffset : extent.start;
      for (let page = 0; page < extent.checksums.length; page += 1) {
        if (!test(extent, page)) continue;
        const start = base + page * PAGE_BYTES;
        const last = found.at(-1);
        if (last?.end === start) last.end = start + PAGE_BYTES;
        else found.push({ start, end: start + PAGE_BYTES });
      }
    }
    return found;
  }

  #pieces({ start, end }: Span): Piece[] {
    let low = 0;
    for (let high = this.#extents.length; low < high; ) {
      const middle = (low + high) >> 1;
      if ((this.#extents[middle] as Extent).end <= start) low = middle + 1;
      else high = middle;
    }
    const pieces: Piece[] = [];
    for (let index = low; index < this.#extents.length; index += 1) {
      const extent = this.#extents[index] as Extent;
      if (extent.start >= end) break;
      pieces.push({ extent, start: Math.max(start, extent.start), end: Math.min(end, extent.end) });
    }
    return pieces;
  }
}
