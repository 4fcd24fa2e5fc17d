/** What a scan of a page table tells (struct cr_pages, native/cr.h), decoded; pure. */
import type { Address } from "../state/address.js";
import type { Span } from "./range-list.js";

/** Pages next to one another of the same kind. */
export interface PageSpan {
  readonly start: Address;
  readonly end: Address;
  /** The page belongs to a file or to shared memory: in a private file mapping it is not modified. */
  readonly file: boolean;
  /** The kernel's zero page: read but never written. */
  readonly zero: boolean;
  /** Swapped out. */
  readonly swapped: boolean;
  /** A guard page (MADV_GUARD_INSTALL). */
  readonly guard: boolean;
}

/** Where spans are to be had: the page table itself, or what was read of it. */
export interface SpanSource {
  /** The spans of each range; ranges are in order and apart. */
  spansOf(ranges: readonly { readonly start: Address; readonly end: Address }[]): PageSpan[][];
}

/** Bytes of one span, and words of four bytes; the categories are in the fifth. */
export const SPAN_BYTES = 24;
const SPAN_WORDS = SPAN_BYTES / 4;
const CATEGORIES_AT = 4;
/** Categories of linux/fs.h. */
const IS_WRITTEN = 1 << 1;
const IS_FILE = 1 << 2;
const IS_PRESENT = 1 << 3;
const IS_SWAPPED = 1 << 4;
const IS_PFNZERO = 1 << 5;
const IS_GUARD = 1 << 8;

/** The span at a byte of a scan. */
export function decodeSpan(raw: Buffer, at: number): PageSpan {
  const categories = raw.readUInt32LE(at + CATEGORIES_AT * 4);
  return {
    start: raw.readBigUInt64LE(at),
    end: raw.readBigUInt64LE(at + 8),
    file: (categories & IS_FILE) !== 0,
    zero: (categories & IS_PFNZERO) !== 0,
    swapped: (categories & IS_SWAPPED) !== 0,
    guard: (categories & IS_GUARD) !== 0,
  };
}

/** All spans of a scan, without their kind. */
export function spansIn(raw: Buffer): Span[] {
  return spansWhere(raw, () => true);
}

/** Of a scan for changes: what was written and holds something. */
export function writtenIn(raw: Buffer): Span[] {
  return spansWhere(
    raw,
    (kind) =>
      (kind & IS_WRITTEN) !== 0 && (kind & (IS_PRESENT | IS_SWAPPED)) !== 0 && (kind & IS_GUARD) === 0,
  );
}

/** In plain numbers, since a process may stand meanwhile. */
function spansWhere(raw: Buffer, isWanted: (kind: number) => boolean): Span[] {
  const words = new Uint32Array(raw.buffer, raw.byteOffset, raw.length / 4);
  const number64 = (at: number) => (words[at] as number) + (words[at + 1] as number) * 2 ** 32;
  const spans: Span[] = [];
  for (let at = 0; at < words.length; at += SPAN_WORDS) {
    if (!isWanted(words[at + CATEGORIES_AT] as number)) continue;
    spans.push({ start: number64(at), end: number64(at + 2) });
  }
  return spans;
}

/** What is held where these scans, each in order, found nothing present; decoded when it is asked for. */
export function absentIn(chunks: readonly Buffer[]): SpanSource {
  let decoded: PageSpan[] | null = null;
  return {
    spansOf: (ranges) => {
      const spans = decoded ?? chunks.flatMap(decodeAbsent).sort((a, b) => (a.start < b.start ? -1 : 1));
      decoded = spans;
      return ranges.map(({ start, end }) => heldBetween(within(spans, start, end), start, end));
    },
  };
}

function decodeAbsent(raw: Buffer): PageSpan[] {
  const spans: PageSpan[] = [];
  for (let at = 0; at < raw.length; at += SPAN_BYTES) {
    if ((raw.readUInt32LE(at + CATEGORIES_AT * 4) & IS_PRESENT) === 0) spans.push(decodeSpan(raw, at));
  }
  return spans;
}

/** What is held of [start, end): all but the absent pages, of which those that are swapped out or guards are there. */
function heldBetween(absent: readonly PageSpan[], start: Address, end: Address): PageSpan[] {
  const held: PageSpan[] = [];
  const add = (from: Address, to: Address, guard: boolean) => {
    if (to > from) held.push({ start: from, end: to, file: false, zero: false, swapped: false, guard });
  };
  let at = start;
  for (const span of absent) {
    add(at, span.start, false);
    if (span.guard || span.swapped) add(span.start, span.end, span.guard);
    at = span.end;
  }
  add(at, end, false);
  return held;
}

/** The spans inside [start, end), cut at its borders; `spans` are in order. */
function within(spans: readonly PageSpan[], start: Address, end: Address): PageSpan[] {
  let low = 0;
  for (let high = spans.length; low < high; ) {
    const middle = (low + high) >> 1;
    if ((spans[middle] as PageSpan).end <= start) low = middle + 1;
    else high = middle;
  }
  const found: PageSpan[] = [];
  for (let at = low; at < spans.length; at += 1) {
    const span = spans[at] as PageSpan;
    if (span.start >= end) break;
    found.push({
      ...span,
      start: span.start > start ? span.start : start,
      end: span.end < end ? span.end : end,
    });
  }
  return found;
}
