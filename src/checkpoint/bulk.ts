/** How bulk data gets to the disk: past the page cache or through it, and how soon. */
import { totalmem } from "node:os";
import { tryOwnCall } from "../tracee/own-call.js";
import type { RangeList } from "../tracee/range-list.js";

/**
 * The page cache takes data quicker than a disk, until so much of memory is dirty that the kernel slows its writers
 * down (vm.dirty_ratio, 20 % of what is available by default): good while a program stands.
 */
const DIRECT_MEMORY_SHARE = 8;
/** While it runs the way to the disk counts, since the core has to be durable in the end. In bytes. */
const DIRECT_BYTES_MIN = 64 << 20;
/** What is worth a wait for the disk, in bytes. */
const DIRECT_PIECE_BYTES = 128 << 10;
/** SYNC_FILE_RANGE_WRITE. */
const WRITE = 2;

/** Whether ranges are better written past the page cache (O_DIRECT); `running`: nobody stands still meanwhile. */
export function isForDisk(
  { totalBytes, stretches }: Pick<RangeList, "totalBytes" | "stretches">,
  running: boolean,
): boolean {
  const least = running ? DIRECT_BYTES_MIN : totalmem() / DIRECT_MEMORY_SHARE;
  return totalBytes >= least && totalBytes / stretches >= DIRECT_PIECE_BYTES;
}

/** Lets the disk begin with what is in the page cache, without a wait, so that the last fsync finds less. */
export function startWriting(fd: number): void {
  // Only sooner: whatever it says, the fsync will, too.
  tryOwnCall("sync_file_range", fd, 0, 0, WRITE);
}
