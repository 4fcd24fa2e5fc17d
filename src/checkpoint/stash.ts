/** Memory of cr that is filled in the stop of a process and written once it runs again. */
import { PAGE_BYTES } from "../state/address.js";
import { type CopyManner, stashPages } from "../tracee/memory.js";
import { RangeList, type Span } from "../tracee/range-list.js";

const BYTES_MIN = 1 << 20;
/** Memory to memory: more threads wait for one another. */
const STASH_THREADS = 2;

/** Kept from one checkpoint to the next: memory that was touched before, and that V8 need not collect. */
const SPARE_BYTES_MAX = 16 << 20;
let spare: Buffer | null = null;

/** What to make room for where so many bytes are expected, in bytes. */
export function stashBytesFor(expectedBytes: number): number {
  return Math.ceil((2 * expectedBytes + BYTES_MIN) / PAGE_BYTES) * PAGE_BYTES;
}

export class Stash {
  /** Touched already. */
  readonly bytes: Buffer;
  readonly #memory: Buffer;
  /** What is in it, one behind the other. */
  readonly spans: Span[] = [];
  readonly #places = new Map<Span, number>();

  constructor(lengthBytes: number) {
    const isThere = spare !== null && lengthBytes > 0 && spare.length >= lengthBytes;
    this.#memory = isThere ? (spare as Buffer) : Buffer.alloc(lengthBytes, 1);
    this.bytes = this.#memory.subarray(0, lengthBytes);
    if (isThere) spare = null;
  }

  /** Gives its memory to the next one. */
  [Symbol.dispose](): void {
    const { length } = this.#memory;
    if (length > (spare?.length ?? 0) && length <= SPARE_BYTES_MAX) spare = this.#memory;
  }

  get totalBytes(): number {
    return this.bytes.length;
  }

  /** Where a span of `spans` begins in it. */
  readonly placeOf = (span: Span): number => this.#places.get(span) as number;

  /** Takes what fits of a process's memory; the spans that do not. Throws as `stashPages`. */
  take(pid: number, spans: readonly Span[], manner: CopyManner): Span[] {
    const list = new RangeList(spans.length);
    const rest: Span[] = [];
    for (const { start, end } of spans) {
      const fits = Math.min(end, start + this.bytes.length - list.totalBytes);
      if (fits > start) {
        const span = { start, end: fits };
        this.spans.push(span);
        this.#places.set(span, list.totalBytes);
        list.add(start, fits, list.totalBytes);
      }
      if (fits < end) rest.push({ start: Math.max(start, fits), end });
    }
    stashPages(pid, this.bytes, { ...manner, list, threads: Math.min(STASH_THREADS, manner.threads) });
    return rest;
  }
}
