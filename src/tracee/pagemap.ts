/** Which pages of a tracee hold something of its own (/proc/PID/pagemap, PAGEMAP_SCAN). */
import { closeSync, openSync } from "node:fs";
import type { Address } from "../state/address.js";
import { call, NativeError } from "./native.js";

/** Pages next to one another of the same kind. */
export interface PageSpan {
  readonly start: Address;
  readonly end: Address;
  /** The page belongs to a file or to shared memory: in a private file mapping it is not modified. */
  readonly file: boolean;
  /** The kernel's zero page: read but never written. */
  readonly zero: boolean;
  /** A guard page (MADV_GUARD_INSTALL). */
  readonly guard: boolean;
}

/** Categories of linux/fs.h. */
const IS_FILE = 1n << 2n;
const IS_PFNZERO = 1n << 5n;
const IS_GUARD = 1n << 8n;
const SPAN_BYTES = 24;
const SPANS_PER_CALL = 4096;

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

  /** PAGEMAP_SCAN, or the words of pagemap once a kernel before 6.7 has refused it (ENOTTY). */
  #scan(start: Address, end: Address): number {
    const args = [this.#fd, Number(start), Number(end), this.#out, this.#out.length, this.#next] as const;
    if (!useWords) {
      try {
        return call("cr_scan", ...args, 0);
      } catch (error) {
        if (!(error instanceof NativeError && error.errno === "ENOTTY")) throw error;
        useWords = true;
      }
    }
    return call("cr_scan", ...args, 1);
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

function decodeSpan(out: Buffer, at: number): PageSpan {
  const categories = out.readBigUInt64LE(at + 16);
  return {
    start: out.readBigUInt64LE(at),
    end: out.readBigUInt64LE(at + 8),
    file: (categories & IS_FILE) !== 0n,
    zero: (categories & IS_PFNZERO) !== 0n,
    guard: (categories & IS_GUARD) !== 0n,
  };
}
