/**
 * Ranges as the native bulk copies take them (struct cr_range), built in the stop by the ten thousands: addresses are
 * plain numbers here, which user-space addresses fit (below 2^47).
 */
import { RUN_BYTES_MAX } from "../state/address.js";

/** Pages of a process, from `start` up to `end`, page-aligned. */
export interface Span {
  readonly start: number;
  readonly end: number;
}

/** Some ranges that stand one behind the other in a list. */
export interface RangePart {
  readonly packed: Buffer;
  readonly count: number;
  readonly totalBytes: number;
}

const WORDS = 6;
const WORD = 2 ** 32;

/** Grows by itself; ranges longer than the native library takes are cut. */
export class RangeList {
  #words: Uint32Array;
  #count = 0;
  #bytes = 0;
  #stretches = 0;
  #placeEnd = -1;

  /** Room for so many ranges is made at once. */
  constructor(room = 1024) {
    this.#words = new Uint32Array(room * WORDS);
  }

  /** How many ranges it holds, after cutting. */
  get count(): number {
    return this.#count;
  }

  /** Their length in bytes. */
  get totalBytes(): number {
    return this.#bytes;
  }

  /** In how many stretches of places they stand: what is added for a place behind the last one lengthens that. */
  get stretches(): number {
    return this.#stretches;
  }

  /** Adds the pages of [start, end) with their place, in a file or in the stash. */
  add(start: number, end: number, place: number): void {
    for (let at = start; at < end; at += RUN_BYTES_MAX) {
      this.#addOne(at, Math.min(RUN_BYTES_MAX, end - at), place + at - start);
    }
  }

  #addOne(address: number, lengthBytes: number, place: number): void {
    const at = this.#count * WORDS;
    if (at === this.#words.length) {
      const more = new Uint32Array(this.#words.length * 2);
      more.set(this.#words);
      this.#words = more;
    }
    this.#words[at] = address % WORD;
    this.#words[at + 1] = Math.floor(address / WORD);
    this.#words[at + 2] = lengthBytes;
    this.#words[at + 3] = 0;
    this.#words[at + 4] = place % WORD;
    this.#words[at + 5] = Math.floor(place / WORD);
    if (place !== this.#placeEnd) this.#stretches += 1;
    this.#placeEnd = place + lengthBytes;
    this.#count += 1;
    this.#bytes += lengthBytes;
  }

  /** The array for the native call. */
  get packed(): Buffer {
    return this.#slice(0, this.#count);
  }

  /** The same in parts of about so many bytes, one behind the other: none is longer than that by more than a range. */
  *parts(bytesMax: number): Generator<RangePart> {
    for (let from = 0, at = 0, bytes = 0; at < this.#count; ) {
      bytes += this.#words[at * WORDS + 2] as number;
      at += 1;
      if (bytes < bytesMax && at < this.#count) continue;
      yield { packed: this.#slice(from, at), count: at - from, totalBytes: bytes };
      from = at;
      bytes = 0;
    }
  }

  #slice(from: number, to: number): Buffer {
    return Buffer.from(this.#words.buffer, from * WORDS * 4, (to - from) * WORDS * 4);
  }
}

/** Bytes of all spans. */
export function spanBytes(spans: readonly Span[]): number {
  return spans.reduce((sum, { start, end }) => sum + end - start, 0);
}
