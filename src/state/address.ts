/**
 * Addresses in a tracee: always `bigint`, never mixed with lengths (plain numbers of bytes).
 */
export type Address = bigint;

/** Page size of x86-64 in bytes; the only one Recore supports. */
export const PAGE_BYTES = 4096;

/** Bytes a run of pages in a core may have at most: the unit of a checksum (pages.ts). */
export const RUN_BYTES_MAX = 1 << 20;

/** First address that user space cannot have (47-bit TASK_SIZE, Documentation/arch/x86/x86_64/mm.rst). */
export const USER_END: Address = 0x7fff_ffff_f000n;

/** `0x`-prefixed lower-case hex, the form of every 64-bit number in notes and messages. */
export function hex(value: bigint): string {
  return `0x${value.toString(16)}`;
}

/** The page boundary at or below `address`. */
export function pageDown(address: Address): Address {
  return address & ~BigInt(PAGE_BYTES - 1);
}

/** The page boundary at or above `address`. */
export function pageUp(address: Address): Address {
  return pageDown(address + BigInt(PAGE_BYTES - 1));
}
