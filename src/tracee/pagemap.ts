/** Which pages of a tracee hold something of its own (/proc/PID/pagemap, PAGEMAP_SCAN). */
import { closeSync, openSync } from "node:fs";
import { type Address, USER_END } from "../state/address.js";
import { call, NativeError } from "./native.js";
import {
  absentIn,
  decodeSpan,
  type PageSpan,
  SPAN_BYTES,
  type SpanSource,
  spansIn,
  writtenIn,
} from "./page-spans.js";
import type { Span } from "./range-list.js";

const SPANS_PER_CALL = 4096;

/** Kinds of cr_scan (native/cr.h). */
const KINDS = {
  held: 0,
  words: 1,
  written: 2,
  protect: 3,
  untracked: 4,
  absent: 5,
  marked: 6,
  apart: 7,
  changed: 8,
} as const;
/** Spans of one call over a whole process. */
const SPANS_OF_ALL = 16_384;

/** So many bytes between two ranges cost more than another call. */
const APART_BYTES = 1n << 20n;
const ALL: Span = { start: 0, end: Number(USER_END) };

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
      next.fill(0);
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
    return [...this.#chunks(KINDS[kind], within)].flatMap(spansIn);
  }

  /**
   * What private memory holds at this instant, to be looked at later: the process need not stand still for that. Read
   * as what it does not hold, which is less in most, and costs the kernel a quarter of the time. Two threads may begin
   * at 0 and `half`.
   */
  census(half = 0): SpanSource {
    return absentIn([...this.#chunks(KINDS.absent, ALL, half)]);
  }

  /** The census of a process that stands and `pages("written")` in one walk, which looks at every page there is. */
  changes(half: number): { readonly written: Span[]; readonly census: SpanSource } {
    const chunks = [...this.#chunks(KINDS.changed, ALL, half)];
    return {
      written: chunks.flatMap(writtenIn),
      census: absentIn([...chunks, ...this.#chunks(KINDS.apart, ALL)]),
    };
  }

  *#chunks(kind: number, { start, end }: Span, half = 0): Generator<Buffer> {
    const next = Buffer.alloc(8);
    for (let at = start; at < end; at = Number(next.readBigUInt64LE())) {
      next.writeBigUInt64LE(BigInt(half));
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

function max(a: bigint, b: bigint): bigint {
  return a > b ? a : b;
}

function min(a: bigint, b: bigint): bigint {
  return a < b ? a : b;
}
