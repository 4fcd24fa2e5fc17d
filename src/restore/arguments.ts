/** Arguments of remote calls that live in the newborn's memory: collected in one buffer, written at once. */
import type { Address } from "../state/address.js";

const ALIGN = 16;

export class Arguments {
  readonly #base: Address;
  readonly #parts: Buffer[] = [];
  #length = 0;

  /** `base` is where the buffer will stand in the newborn. */
  constructor(base: Address) {
    this.#base = base;
  }

  /** Adds bytes; their address in the newborn. */
  put(bytes: Buffer): Address {
    const at = this.#base + BigInt(this.#length);
    const padded = Buffer.alloc(Math.ceil(bytes.length / ALIGN) * ALIGN);
    bytes.copy(padded);
    this.#parts.push(padded);
    this.#length += padded.length;
    return at;
  }

  /** Adds 64-bit words. */
  words(...values: readonly bigint[]): Address {
    const bytes = Buffer.alloc(values.length * 8);
    values.forEach((value, index) => {
      bytes.writeBigUInt64LE(BigInt.asUintN(64, value), index * 8);
    });
    return this.put(bytes);
  }

  /** Adds a string of one byte a character, with its NUL. */
  text(value: string): Address {
    return this.put(Buffer.from(`${value}\0`, "latin1"));
  }

  bytes(): Buffer {
    return Buffer.concat(this.#parts);
  }
}
