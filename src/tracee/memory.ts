/** Memory of a tracee: small reads and writes, and bulk copies into a file or a stash. */
import { type Address, PAGE_BYTES } from "../state/address.js";
import { call } from "./native.js";
import type { RangeList } from "./range-list.js";

/** Flags of cr_copy_out (native/cr.h). */
const OVER = 1;
const LOOSE = 2;

/** The checksum of a page that was gone when a running process was copied. */
export const GONE_CHECKSUM = 0xffff_ffff;

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

export interface PageCopy {
  readonly list: RangeList;
  readonly threads: number;
  /** Something may stand in the file already: zero pages are made holes. */
  readonly over?: boolean;
  /** The process runs: a page that is gone counts as zeros and gets GONE_CHECKSUM. */
  readonly loose?: boolean;
  /** The ranges are places in this stash, not addresses (`pid` is 0 then). */
  readonly stash?: Buffer;
}

/**
 * Copies pages of a tracee, or of a stash, to their places in a file, natively and with a few threads; all-zero pages
 * are left as holes. Tells the bytes written and the CRC32C of every page, in the order of the ranges. Throws
 * `NativeError` (ENOSPC, EFAULT, ESRCH, …).
 */
export function copyPages(
  pid: number,
  fd: number,
  { list, threads, over, loose, stash }: PageCopy,
): { readonly writtenBytes: number; readonly checksums: Uint32Array } {
  const checksums = new Uint32Array(list.totalBytes / PAGE_BYTES);
  const from = stash ?? Buffer.alloc(0);
  const flags = (over ? OVER : 0) | (loose ? LOOSE : 0);
  const args = [list.packed, list.count, Buffer.from(checksums.buffer), threads] as const;
  const writtenBytes = list.count === 0 ? 0 : call("cr_copy_out", pid, fd, ...args, from, from.length, flags);
  return { writtenBytes, checksums };
}

/** Copies ranges, whose places are those in the stash, into it. Throws `NativeError` (EFAULT, ESRCH). */
export function stashPages(pid: number, stash: Buffer, list: RangeList): void {
  if (list.count === 0) return;
  const none = Buffer.alloc(0);
  call("cr_copy_out", pid, -1, list.packed, list.count, none, 2, stash, stash.length, 0);
}
