/** Memory of a tracee: small reads and writes, and bulk copies into a file or a stash. */
import { type Address, PAGE_BYTES } from "../state/address.js";
import { Beside } from "./beside.js";
import { call } from "./native.js";
import type { RangeList, RangePart } from "./range-list.js";

/** Flags of cr_copy_out (native/cr.h). */
const OVER = 1;
const LOOSE = 2;
const GENTLY = 4;
const DIRECT = 8;
const BEGIN = 16;

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

/** How much of the machine a copy takes. */
export interface CopyManner {
  readonly threads: number;
  /** The same for writes past the page cache; default: `threads`. */
  readonly diskThreads?: number;
  /** Other threads of the machine come first. */
  readonly gently?: boolean;
  /** Copies in parts of about so many bytes, and calls `before` ahead of each, with its bytes and all that are left. */
  readonly partBytes?: number;
  readonly before?: (bytes: number, leftBytes: number) => void;
}

export interface PageCopy extends CopyManner {
  readonly list: RangeList;
  /** Something may stand in the file already, or room is reserved: zero pages are made holes. */
  readonly over?: boolean;
  /** The descriptor goes past the page cache: a few zero pages are written with what is around them. */
  readonly direct?: boolean;
  /** The process runs: a page that is gone counts as zeros and gets GONE_CHECKSUM. */
  readonly loose?: boolean;
  /** The ranges are places in this stash, not addresses (`pid` is 0 then). */
  readonly stash?: Buffer;
}

/** What a copy came to: the bytes written, and the CRC32C of every page in the order of the ranges. */
export interface CopyDone {
  readonly writtenBytes: number;
  readonly checksums: Uint32Array;
}

/**
 * Copies pages of a tracee, or of a stash, to their places in a file, natively and with a few threads; all-zero pages
 * are left as holes. Throws `NativeError` (ENOSPC, EFAULT, ESRCH, …), and what `before` throws.
 */
export function copyPages(pid: number, fd: number, copy: PageCopy): CopyDone {
  const checksums = new Uint32Array(copy.list.totalBytes / PAGE_BYTES);
  let writtenBytes = 0;
  inParts(copy.list, copy, ({ packed, count }, doneBytes) => {
    const crcs = Buffer.from(checksums.buffer, (doneBytes / PAGE_BYTES) * checksums.BYTES_PER_ELEMENT);
    writtenBytes += call("cr_copy_out", pid, fd, packed, count, crcs, ...mannerOf(copy, 0));
  });
  return { writtenBytes, checksums };
}

/**
 * The same in other threads meanwhile, all at one go: `partBytes` and `before` have no say. `end` waits for it and throws as
 * `copyPages`.
 */
export function beginCopy(pid: number, fd: number, copy: PageCopy): { end(): CopyDone } & Disposable {
  const checksums = new Uint32Array(copy.list.totalBytes / PAGE_BYTES);
  const { packed, count } = copy.list;
  const crcs = Buffer.from(checksums.buffer);
  const going = Beside.begin("cr_copy_out", pid, fd, packed, count, crcs, ...mannerOf(copy, BEGIN));
  return {
    end: () => ({ writtenBytes: going.end(), checksums }),
    [Symbol.dispose]: () => going[Symbol.dispose](),
  };
}

/** The last parameters of cr_copy_out. */
function mannerOf(copy: PageCopy, more: number): [number, Buffer, number, number] {
  const { over, direct, loose, gently, stash = Buffer.alloc(0) } = copy;
  const threads = direct ? (copy.diskThreads ?? copy.threads) : copy.threads;
  const flags =
    (over ? OVER : 0) | (loose ? LOOSE : 0) | (gently ? GENTLY : 0) | (direct ? DIRECT : 0) | more;
  return [threads, stash, stash.length, flags];
}

/** Copies ranges, whose places are those in the stash, into it. Throws `NativeError` (EFAULT, ESRCH). */
export function stashPages(
  pid: number,
  stash: Buffer,
  { list, ...manner }: { readonly list: RangeList } & CopyManner,
): void {
  const none = Buffer.alloc(0);
  inParts(list, manner, ({ packed, count }) => {
    call("cr_copy_out", pid, -1, packed, count, none, manner.threads, stash, stash.length, 0);
  });
}

function inParts(
  list: RangeList,
  { partBytes = Number.POSITIVE_INFINITY, before }: Pick<CopyManner, "partBytes" | "before">,
  copy: (part: RangePart, doneBytes: number) => void,
): void {
  let doneBytes = 0;
  for (const part of list.parts(partBytes)) {
    before?.(part.totalBytes, list.totalBytes - doneBytes);
    copy(part, doneBytes);
    doneBytes += part.totalBytes;
  }
}
