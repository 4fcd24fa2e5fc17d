/** Which pages of a tracee hold something of its own (/proc/PID/pagemap, PAGEMAP_SCAN). */
import { closeSync, openSync } from "node:fs";
import { type Address, USER_END } from "../state/address.js";
import { call, NativeError } from "./native.js";
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

/** Categories of linux/fs.h. */
const IS_FILE = 1n << 2n;
const IS_SWAPPED = 1n << 4n;
const IS_PFNZERO = 1n << 5n;
const IS_GUARD = 1n << 8n;
const SPAN_BYTES = 24;
const SPANS_PER_CALL = 4096;

/** Kinds of cr_scan (native/cr.h). */
const KINDS = { held: 0, words: 1, written: 2, protect: 3, untracked: 4, absent: 5, marked: 6 } as const;
/** Spans of one call over a whole process. */
const SPANS_OF_ALL = 16_384;

/** So many bytes between two ranges cost more than another call. */
const APART_BYTES = 1n << 20n;
const ALL: Span = { start: 0, end: Number(USER_END) };

/** Where spans are to be had: the page table itself, or what was read of it. */
export interface SpanSource {
  /** The spans of each range; ranges are in order and apart. */
  spansOf(ranges: readonly { readonly start: Address; readonly end: Address }[]): PageSpan[][];
}

let useWords = process.env.CR_PAGEMAP === "words";

/** A reader of one process's page table; close it when done. */
export class Pagemap {
  readonly #fd: number;
  // Kept from one mapping to the next: a process may have tens of thousands.
  readonly #out = Buffer.alloc(SPANS_PER_CALL * SPAN_BYTES);
  readonly #next = Buffer.alloc(8);

  constructor(pid: number) {
    this.#fd = openSync(`/proc/${pid}/pagemap`, "r");
  }

  /** Spans of present, swapped or guard pages in [start, end), in order. Throws `NativeError`. */
  spans(start: Address, end: Address): PageSpan[] {
    const spans: PageSpan[] = [];
    const out = this.#out;
    const next = this.#next;
    for (let at = start; at < end; at = next.readBigUInt64LE()) {
      const count = this.#scan(at, end);
      for (let index = 0; index < count; index += 1) spans.push(decodeSpan(out, index * SPAN_BYTES));
      if (next.readBigUInt64LE() <= at) break;
    }
    return spans;
  }

  /**
   * The spans of each range; ranges are in order and apart. One walk over all of them, because a process may have
   * thousands: what is not mapped costs it nothing.
   */
  spansOf(ranges: readonly { readonly start: Address; readonly end: Address }[]): PageSpan[][] {
    const [first, last] = [ranges[0], ranges.at(-1)];
    if (first === undefined || last === undefined) return [];
    // The words of pagemap would be read for every page in between, too. One range tells which it is.
    const head = this.spans(first.start, first.end);
    if (useWords) return [head, ...ranges.slice(1).map(({ start, end }) => this.spans(start, end))];
    const all = this.spans(first.end, last.end);
    let next = 0;
    const rest = ranges.slice(1).map(({ start, end }) => {
      const inside: PageSpan[] = [];
      while ((all[next]?.end ?? end) <= start && next < all.length) next += 1;
      for (let index = next; index < all.length; index += 1) {
        const span = all[index];
        if (span === undefined || span.start >= end) break;
        inside.push({ ...span, start: max(span.start, start), end: min(span.end, end) });
      }
      return inside;
    });
    return [head, ...rest];
  }

  /** The same for few ranges with much between them that is not asked for: it is left out of the walk. */
  spansApart(ranges: readonly { readonly start: Address; readonly end: Address }[]): PageSpan[][] {
    const groups: { start: Address; end: Address }[][] = [];
    for (const range of ranges) {
      const last = groups.at(-1)?.at(-1);
      if (last !== undefined && range.start - last.end < APART_BYTES) groups.at(-1)?.push(range);
      else groups.push([range]);
    }
    return groups.flatMap((group) => this.spansOf(group));
  }

  /** PAGEMAP_SCAN, or the words of pagemap once a kernel before 6.7 has refused it (ENOTTY). */
  #scan(start: Address, end: Address): number {
    const args = [this.#fd, Number(start), Number(end), this.#out, this.#out.length, this.#next] as const;
    if (!useWords) {
      try {
        return call("cr_scan", ...args, KINDS.held);
      } catch (error) {
        if (!(error instanceof NativeError && error.errno === "ENOTTY")) throw error;
        useWords = true;
      }
    }
    return call("cr_scan", ...args, KINDS.words);
  }

  /**
   * Pages of the whole process by what tracking (page-tracker.ts) knows of them: `written` since they were protected,
   * the same and protected anew in that instant (`protect`), or its own and not tracked; and those with the mark that
   * this or an earlier tracking has put on them and no write has taken away (`marked`). Throws `NativeError`.
   */
  pages(kind: "written" | "protect" | "untracked" | "marked", within: Span = ALL): Span[] {
    const spans: Span[] = [];
    for (const raw of this.#chunks(KINDS[kind], within)) {
      const words = new Uint32Array(raw.buffer, raw.byteOffset, raw.length / 4);
      for (let at = 0; at < words.length; at += SPAN_BYTES / 4) {
        spans.push({ start: number64(words, at), end: number64(words, at + 2) });
      }
    }
    return spans;
  }

  /**
   * What private memory holds at this instant, to be looked at later: the process need not stand still for that. Read
   * as what it does not hold, which is less in most, and costs the kernel a quarter of the time.
   */
  census(): SpanSource {
    const chunks = [...this.#chunks(KINDS.absent, ALL)];
    let decoded: PageSpan[] | null = null;
    return {
      spansOf: (ranges) => {
        const spans = decoded ?? chunks.flatMap(decodeSpans);
        decoded = spans;
        return ranges.map(({ start, end }) => heldBetween(within(spans, start, end), start, end));
      },
    };
  }

  *#chunks(kind: number, { start, end }: Span): Generator<Buffer> {
    const next = Buffer.alloc(8);
    for (let at = start; at < end; at = Number(next.readBigUInt64LE())) {
      const out = Buffer.allocUnsafeSlow(SPANS_OF_ALL * SPAN_BYTES);
      const count = call("cr_scan", this.#fd, at, end, out, out.length, next, kind);
      yield out.subarray(0, count * SPAN_BYTES);
      if (Number(next.readBigUInt64LE()) <= at) break;
    }
  }

  [Symbol.dispose](): void {
    closeSync(this.#fd);
  }
}

function number64(words: Uint32Array, at: number): number {
  return (words[at] as number) + (words[at + 1] as number) * 2 ** 32;
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

function max(a: bigint, b: bigint): bigint {
  return a > b ? a : b;
}

function min(a: bigint, b: bigint): bigint {
  return a < b ? a : b;
}

function decodeSpans(raw: Buffer): PageSpan[] {
  return Array.from({ length: raw.length / SPAN_BYTES }, (_, index) => decodeSpan(raw, index * SPAN_BYTES));
}

function decodeSpan(out: Buffer, at: number): PageSpan {
  const categories = out.readBigUInt64LE(at + 16);
  return {
    start: out.readBigUInt64LE(at),
    end: out.readBigUInt64LE(at + 8),
    file: (categories & IS_FILE) !== 0n,
    zero: (categories & IS_PFNZERO) !== 0n,
    swapped: (categories & IS_SWAPPED) !== 0n,
    guard: (categories & IS_GUARD) !== 0n,
  };
}
