/**
 * The main thread of a stopped target while other tasks in it use memory below its stack pointer: should cr die then, it
 * must not run on before they are home, or it would call deeper and write over what they go home through. So its registers
 * stay ours, and as an orphan it first waits at a word (futex(2)) until the kernel clears that, or for a while.
 */
import type { Address } from "../state/address.js";
import { readMemory, writeMemory } from "./memory.js";
import { call } from "./native.js";
import { isNativeError } from "./native-error.js";
import { type RemoteCall, runGuarded, WAIT_BYTES } from "./remote.js";
import { type Gadgets, guardedSite, placeBytesFor } from "./site.js";
import type { ThreadRegisters } from "./thread.js";

/** A futex word and a struct timespec. */
const WORD_BYTES = 24;
const TIMEOUT_AT = 8;

/** Where a thread is parked: memory of its own, above that of the others, so that their stack pointers are the lower ones. */
export interface ParkingPlace {
  readonly gadgets: Gadgets;
  readonly place: Address;
  readonly placeBytes: number;
  /** How long it waits for the others as an orphan, at most, in ms. */
  readonly waitMs: number;
}

/** Bytes of such a place. */
export function parkBytesFor(xstateBytes: number): number {
  return placeBytesFor(WAIT_BYTES + WORD_BYTES, xstateBytes);
}

export class Park {
  readonly #tid: number;
  readonly #at: ParkingPlace;
  readonly #own: Pick<ThreadRegisters, "registers" | "sigmask">;
  readonly #before: Buffer;

  /** `own` is what the stopped thread has, and gets back. Throws `NativeError`. */
  constructor(tid: number, at: ParkingPlace, own: Pick<ThreadRegisters, "registers" | "sigmask">) {
    this.#tid = tid;
    this.#at = at;
    this.#own = own;
    this.#before = readMemory(tid, at.place, at.placeBytes);
  }

  /** The word: whoever is to be waited for has the kernel clear it (CLONE_CHILD_CLEARTID). */
  get word(): Address {
    return this.#at.place;
  }

  /** Runs calls in it, at least one; it is parked from their beginning on. Throws `NativeError`, `RemoteInterrupted`. */
  run(calls: readonly RemoteCall[], options = 0): bigint[] {
    const { gadgets, place, placeBytes, waitMs } = this.#at;
    const site = guardedSite(gadgets, place, { placeBytes, registers: this.#own.registers });
    const scratch = Buffer.alloc(WORD_BYTES);
    scratch.writeUInt32LE(1, 0);
    scratch.writeBigUInt64LE(BigInt(Math.floor(waitMs / 1000)), TIMEOUT_AT);
    scratch.writeBigUInt64LE(BigInt((waitMs % 1000) * 1_000_000), TIMEOUT_AT + 8);
    return runGuarded(this.#tid, { ...site, options, waitAt: place, keeps: true }, { calls, scratch });
  }

  /** Gives it back what it had: registers after the mask, as an orphan gets home by them. Nothing where it has ended. */
  [Symbol.dispose](): void {
    const mask = Buffer.alloc(8);
    mask.writeBigUInt64LE(this.#own.sigmask);
    try {
      call("cr_set_sigmask", this.#tid, mask, mask.length);
      call("cr_set_registers", this.#tid, this.#own.registers, this.#own.registers.length);
      writeMemory(this.#tid, this.#at.place, this.#before);
    } catch (error) {
      if (!isNativeError(error, "ESRCH", "EIO")) throw error;
    }
  }
}
