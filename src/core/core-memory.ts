/** The memory of a core by address, as far as its segments hold the bytes. */
import type { Address } from "../state/address.js";
import type { ByteSource } from "./byte-source.js";
import type { Segment } from "./elf.js";

/** The bytes at an address, null where the core does not hold all of them. */
export type ReadMemory = (address: Address, lengthBytes: number) => Buffer | null;

/** Reads memory that lies within one segment; nothing Recore looks up is larger. */
export function coreMemory(source: ByteSource, segments: readonly Segment[]): ReadMemory {
  const loads = segments.filter(({ kind, fileBytes }) => kind === "load" && fileBytes > 0);
  return (address, lengthBytes) => {
    const end = address + BigInt(lengthBytes);
    const load = loads.find(
      (candidate) => address >= candidate.address && end <= candidate.address + BigInt(candidate.fileBytes),
    );
    if (load === undefined) return null;
    return source.read(load.offset + Number(address - load.address), lengthBytes);
  };
}

/** A 64-bit word of memory, null where the core does not hold it. */
export function readWord(memory: ReadMemory, address: Address): bigint | null {
  return memory(address, 8)?.readBigUInt64LE(0) ?? null;
}
