/**
 * Lists of /proc for whose entries the kernel counts pages, 15 ms a GiB (smaps, numa_maps): read at once, or beside what
 * else is to be done meanwhile.
 */
import type { Address } from "../state/address.js";
import { callInPool, errnoName, tryCall } from "./native.js";

/** CR_LIST_HEAD of native/cr.h. */
const HEAD_BYTES = 8;
const ROOM_BYTES = 64 << 10;
/** Bytes of an entry of smaps, with a long name. */
const ENTRY_BYTES = 1024;
/** How often a list is looked for that is not there yet, in ms. */
const LOOK_MS = 0.2;
/** For so long at most, in ms: threads of Node may all be busy with something else. */
const WAIT_MS_MAX = 120_000;
/** Mappings of so many bytes are worth another thread, which takes its time from somebody. */
const LONG_BYTES = 512n << 20n;
/** CR_LIST_GENTLY of native/cr.h. */
const GENTLY = 1;
const nobody = new Int32Array(new SharedArrayBuffer(4));

/** The text of such a list. Throws errno errors as `readFileSync` does. */
export function readCountedList(path: string, encoding: "latin1" | "utf8"): string {
  for (let room = ROOM_BYTES; ; room *= 4) {
    const out = Buffer.alloc(room);
    const length = tryCall("cr_read_list", path, out, room, 0);
    if (length >= 0) return out.toString(encoding, HEAD_BYTES, HEAD_BYTES + length);
    const code = errnoName(-length);
    if (code !== "ENOSPC") throw Object.assign(new Error(`read ${path}: ${code}`), { code });
  }
}

/**
 * A list that is read by another thread meanwhile, which lets others come first; where that is soon done, at once when it is
 * asked for. To be disposed of, which waits for the thread: it writes into memory of ours.
 */
export class CountedList implements Disposable {
  readonly #path: string;
  readonly #out: Buffer | null;

  private constructor(path: string, out: Buffer | null) {
    this.#path = path;
    this.#out = out;
  }

  /** Begins to read one of these mappings. */
  static begin(
    path: string,
    mappings: readonly { readonly start: Address; readonly end: Address }[],
  ): CountedList {
    const bytes = mappings.reduce((sum, { start, end }) => sum + (end - start), 0n);
    if (bytes < LONG_BYTES) return new CountedList(path, null);
    const out = Buffer.alloc(ROOM_BYTES + mappings.length * ENTRY_BYTES);
    // The answer is in the buffer: nobody gets to wait for the promise while this thread works on.
    callInPool("cr_read_list", path, out, out.length, GENTLY).catch(() => {});
    return new CountedList(path, out);
  }

  /** Waits for it and tells its text. Throws as `readCountedList`. */
  text(encoding: "latin1" | "utf8"): string {
    const told = this.#out === null ? -1 : toldIn(this.#out);
    if (this.#out === null || told < 0) return readCountedList(this.#path, encoding);
    return this.#out.toString(encoding, HEAD_BYTES, HEAD_BYTES + told - 1);
  }

  /** Until nobody reads it any more: meanwhile the kernel makes wait whoever changes the mappings of the process. */
  wait(): void {
    if (this.#out !== null) toldIn(this.#out);
  }

  [Symbol.dispose](): void {
    this.wait();
  }
}

/** Lists that were waited for in vain: whoever still writes into them must find them. */
const abandoned: Buffer[] = [];

/** The answer, as soon as it is there; -1 where none comes. */
function toldIn(out: Buffer): number {
  for (const end = performance.now() + WAIT_MS_MAX; ; ) {
    const told = out.readBigInt64LE(0);
    if (told !== 0n) return Number(told);
    if (abandoned.includes(out) || performance.now() > end) break;
    Atomics.wait(nobody, 0, 0, LOOK_MS);
  }
  if (!abandoned.includes(out)) abandoned.push(out);
  return -1;
}
