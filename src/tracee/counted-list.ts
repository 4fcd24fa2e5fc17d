/**
 * Lists of /proc for whose entries the kernel counts pages, 15 ms a GiB (smaps, numa_maps): read at once, or beside what
 * else is to be done meanwhile.
 */
import type { Address } from "../state/address.js";
import { Beside } from "./beside.js";
import { errnoName, tryCall } from "./native.js";

const ROOM_BYTES = 64 << 10;
/** Bytes of an entry of smaps, with a long name. */
const ENTRY_BYTES = 1024;
/** Mappings of so many bytes are worth another thread, which takes its time from somebody. */
const LONG_BYTES = 512n << 20n;
/** CR_LIST_BEGIN of native/cr.h. */
const BEGIN = 1;

/** The text of such a list. Throws errno errors as `readFileSync` does. */
export function readCountedList(path: string, encoding: "latin1" | "utf8"): string {
  for (let room = ROOM_BYTES; ; room *= 4) {
    const out = Buffer.alloc(room);
    const length = tryCall("cr_read_list", path, out, room, 0);
    if (length >= 0) return out.toString(encoding, 0, length);
    const code = errnoName(-length);
    if (code !== "ENOSPC") throw Object.assign(new Error(`read ${path}: ${code}`), { code });
  }
}

/**
 * A list that is read by another thread meanwhile, which lets others come first; where that is soon done, at once when it is
 * asked for. To be disposed of.
 */
export class CountedList implements Disposable {
  readonly #path: string;
  readonly #out: Buffer;
  readonly #reading: Beside | null;

  private constructor(path: string, out: Buffer, reading: Beside | null) {
    this.#path = path;
    this.#out = out;
    this.#reading = reading;
  }

  /** Begins to read one of these mappings. */
  static begin(
    path: string,
    mappings: readonly { readonly start: Address; readonly end: Address }[],
  ): CountedList {
    const bytes = mappings.reduce((sum, { start, end }) => sum + (end - start), 0n);
    if (bytes < LONG_BYTES) return new CountedList(path, Buffer.alloc(0), null);
    const out = Buffer.alloc(ROOM_BYTES + mappings.length * ENTRY_BYTES);
    return new CountedList(path, out, Beside.begin("cr_read_list", path, out, out.length, BEGIN));
  }

  /** Waits for it and tells its text. Throws as `readCountedList`. */
  text(encoding: "latin1" | "utf8"): string {
    const length = this.#reading?.tryEnd() ?? -1;
    return length < 0 ? readCountedList(this.#path, encoding) : this.#out.toString(encoding, 0, length);
  }

  /** Until nobody reads it any more: meanwhile the kernel makes wait whoever changes the mappings of the process. */
  wait(): void {
    this.#reading?.tryEnd();
  }

  [Symbol.dispose](): void {
    this.wait();
  }
}
