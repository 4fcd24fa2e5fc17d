/** How bulk data gets to the disk: past the page cache or through it, with room made for it, and how soon. */
import { closeSync, constants } from "node:fs";
import { totalmem } from "node:os";
import { isErrno } from "../errors.js";
import { reopenDescriptor } from "../host/own-descriptors.js";
import { tryOwnCall } from "../tracee/own-call.js";
import type { RangeList } from "../tracee/range-list.js";

/**
 * The page cache takes data quicker than a disk, until so much of memory is dirty that the kernel slows its writers
 * down (vm.dirty_ratio, 20 % of what is available by default): good while a program stands.
 */
const DIRECT_MEMORY_SHARE = 8;
/** While it runs the way to the disk counts, since the core has to be durable in the end. In bytes. */
const DIRECT_BYTES_MIN = 64 << 20;
/** Of so much or more, the parts that are worth it by themselves. */
const DIRECT_PART_BYTES_MIN = 16 << 20;
/** What is worth a wait for the disk, in bytes. */
const DIRECT_PIECE_BYTES = 128 << 10;
/** struct statfs: f_bsize, f_bavail. */
const STATFS_BYTES = 120;
const BLOCK_BYTES_AT = 8;
const BLOCKS_AT = 32;
/** SYNC_FILE_RANGE_WRITE. */
const WRITE = 2;

/** What is to be written. */
type Ranges = Pick<RangeList, "totalBytes" | "stretches">;

/** Whether ranges of so many bytes or more are better written past the page cache (O_DIRECT). */
function isForDisk({ totalBytes, stretches }: Ranges, leastBytes: number): boolean {
  return totalBytes >= leastBytes && totalBytes / stretches >= DIRECT_PIECE_BYTES;
}

/** Room on the disk of a file that everybody may take (statfs(2)); none where it is not told. */
function freeBytes(fd: number): number {
  const told = Buffer.alloc(STATFS_BYTES);
  if (tryOwnCall("fstatfs", fd, told) < 0) return 0;
  return Number(told.readBigUInt64LE(BLOCK_BYTES_AT) * told.readBigUInt64LE(BLOCKS_AT));
}

/** How ranges are to be written. */
export interface BulkWay {
  readonly fd: number;
  /** Past the page cache. */
  readonly direct: boolean;
  /** Room was made for all: what stays zero has to give it back. */
  readonly isReserved: boolean;
}

/** The ways that bulk data can take into one file. */
export class BulkFile implements Disposable {
  readonly #fd: number;
  #direct: number | null = null;
  /** Much is written in parts. */
  #isMuch = false;
  /** Room was made up to here. Once is enough: what has been given back must stay so. */
  #reservedTo = 0;

  constructor(fd: number) {
    this.#fd = fd;
  }

  /**
   * By a second descriptor, past the page cache (O_DIRECT): sooner durable, and other programs keep their cache. For
   * little data or small pieces, or on a file system without it, by the ordinary one. The file will reach to
   * `endOffset`: writes that make it longer would go one by one (ext4_dio_write_checks() of fs/ext4/file.c).
   */
  wayOf(list: Ranges, endOffset: number, running: boolean): BulkWay {
    const least = this.#isMuch ? DIRECT_PART_BYTES_MIN : DIRECT_BYTES_MIN;
    const leastBytes = running ? least : totalmem() / DIRECT_MEMORY_SHARE;
    const fd = isForDisk(list, leastBytes) ? this.#openDirect() : null;
    if (fd === null) return { fd: this.#fd, direct: false, isReserved: false };
    return { fd, direct: true, isReserved: this.#reserve(fd, endOffset) };
  }

  /**
   * Makes room for all of it once, where its parts go past the page cache while the program runs: the file system lets that wait
   * for what is being written. Whether it did.
   */
  expect(list: Ranges, endOffset: number): boolean {
    this.#isMuch ||= isForDisk(list, DIRECT_BYTES_MIN);
    return this.wayOf(list, endOffset, true).isReserved;
  }

  /** With the zeros it may be too much for the disk, for a moment; then room is made page by page. */
  #reserve(fd: number, endOffset: number): boolean {
    const [from, bytes] = [this.#reservedTo, endOffset - this.#reservedTo];
    if (bytes <= 0) return true;
    if (bytes > freeBytes(fd) / 2 || tryOwnCall("fallocate", fd, 0, from, bytes) !== 0) return false;
    this.#reservedTo = endOffset;
    return true;
  }

  #openDirect(): number | null {
    try {
      this.#direct ??= reopenDescriptor(this.#fd, constants.O_WRONLY | constants.O_DIRECT);
      return this.#direct;
    } catch (error) {
      if (isErrno(error, "EINVAL", "EOPNOTSUPP", "ENOTSUP")) return null;
      throw error;
    }
  }

  [Symbol.dispose](): void {
    if (this.#direct !== null) closeSync(this.#direct);
  }
}

/** Lets the disk begin with what is in the page cache, without a wait, so that the last fsync finds less. */
export function startWriting(fd: number): void {
  // Only sooner: whatever it says, the fsync will, too.
  tryOwnCall("sync_file_range", fd, 0, 0, WRITE);
}
