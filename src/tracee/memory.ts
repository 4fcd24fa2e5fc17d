/** Memory of a tracee: small reads and writes, and the bulk copy into a file. */
import type { Address } from "../state/address.js";
import type { CopyRange } from "../state/pages.js";
import { call, packRanges } from "./native.js";

/** Reads `lengthBytes` at `address`; pages that the protection forbids are read too. Throws `NativeError`. */
export function readMemory(pid: number, address: Address, lengthBytes: number): Buffer {
  const out = Buffer.alloc(lengthBytes);
  if (lengthBytes > 0) call("cr_mem_read", pid, Number(address), out, lengthBytes);
  return out;
}

/** Writes bytes at `address`, read-only private pages included. Throws `NativeError`. */
export function writeMemory(pid: number, address: Address, bytes: Buffer): void {
  if (bytes.length > 0) call("cr_mem_write", pid, Number(address), bytes, bytes.length);
}

export interface CopyResult {
  /** Bytes written: what is not zero. */
  readonly writtenBytes: number;
  /** CRC32C of each range, holes taken as zeros. */
  readonly crc32c: readonly number[];
}

/**
 * Copies ranges (page multiples of at most RUN_BYTES_MAX) of a stopped tracee to their places in a file, natively
 * and with a few threads; all-zero pages are left as holes. Throws `NativeError` (ENOSPC, EFAULT, …).
 */
export function copyMemoryTo(
  pid: number,
  fd: number,
  options: { readonly ranges: readonly CopyRange[]; readonly threads: number },
): CopyResult {
  const { ranges, threads } = options;
  if (ranges.length === 0) return { writtenBytes: 0, crc32c: [] };
  const crcs = Buffer.alloc(ranges.length * 4);
  const writtenBytes = call("cr_copy_out", pid, fd, packRanges(ranges), ranges.length, crcs, threads);
  return { writtenBytes, crc32c: ranges.map((_, index) => crcs.readUInt32LE(index * 4)) };
}
