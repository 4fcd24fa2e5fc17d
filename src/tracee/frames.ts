/**
 * Bulk work on the plain bytes of a core, whether its file is plain or compressed (native/fill.c, frames.c): into a
 * process, into a file, or only their checksums; and compressing. libzstd is loaded by the first compressed frame.
 */
import { availableParallelism } from "node:os";
import { CrError } from "../errors.js";
import type { Frame, PageSource } from "../state/frame.js";
import type { CopyRange } from "../state/pages.js";
import { errnoName, NativeError, packRanges, tryCall } from "./native.js";

/** `struct cr_frame`. */
export const FRAME_LAYOUT = { bytes: 40, crc32c: 32 } as const;

const FILL_FRESH = 1;
/** The work is copying and page faults, so no more threads than CPUs. */
const THREADS = Math.min(4, availableParallelism());
/** Behind all frames, so that there is one: none would mean a plain file. */
const NO_FRAME: Frame = {
  plainOffset: 2 ** 52,
  plainBytes: 1,
  fileOffset: 0,
  lengthBytes: 0,
  crc32c: 0,
};

/**
 * Copies ranges (of at most RUN_BYTES_MAX) of a core to their addresses in a process of ours; CRC32C of each. Where
 * `fresh`, its memory is zero so far and stays untouched where zeros belong. CORE_CORRUPT for a damaged frame,
 * CORE_TRUNCATED where the core ends, NATIVE_MISSING without libzstd; `NativeError`: ESRCH, EIO, ….
 */
export function fillMemory(
  pid: number,
  source: PageSource,
  { ranges, fresh }: { readonly ranges: readonly CopyRange[]; readonly fresh: boolean },
): number[] {
  return fill(source, ranges, { pid, outFd: -1, fresh });
}

/** Copies ranges of a core to the same places of a plain file that is empty there; CRC32C of each. */
export function expandInto(
  outFd: number,
  source: PageSource,
  ranges: readonly { readonly fileOffset: number; readonly lengthBytes: number }[],
): number[] {
  const placed = ranges.map((range) => ({ ...range, address: BigInt(range.fileOffset) }));
  return fill(source, placed, { pid: 0, outFd, fresh: true });
}

/** CRC32C of ranges of a core. */
export function checksumsOf(
  source: PageSource,
  ranges: readonly { readonly fileOffset: number; readonly lengthBytes: number }[],
): number[] {
  const placed = ranges.map((range) => ({ ...range, address: 0n }));
  return fill(source, placed, { pid: 0, outFd: -1, fresh: false });
}

function fill(
  source: PageSource,
  ranges: readonly CopyRange[],
  to: { readonly pid: number; readonly outFd: number; readonly fresh: boolean },
): number[] {
  const { fd, frames } = source;
  if (ranges.length === 0) return [];
  const crcs = Buffer.alloc(ranges.length * 4);
  const packed = encodeSource(frames);
  const count = packed.length / FRAME_LAYOUT.bytes;
  const flags = to.fresh ? FILL_FRESH : 0;
  const result = tryCall(
    "cr_fill",
    to.pid,
    to.outFd,
    fd,
    packRanges(ranges),
    ranges.length,
    crcs,
    packed,
    count,
    flags,
    THREADS,
  );
  if (result < 0) throw damage(source.path, errnoName(-result)) ?? failure("cr_fill", errnoName(-result));
  return ranges.map((_, index) => crcs.readUInt32LE(index * 4));
}

/** Slices of a plain file. */
export type Slice = Pick<Frame, "plainOffset" | "plainBytes">;

/**
 * Compresses slices of a plain file into another from `outOffset` on: the frames in order of their slices, without those
 * that are all zero, and the end of what was written. NATIVE_MISSING without libzstd.
 */
export function packSlices(
  files: { readonly fd: number; readonly outFd: number; readonly outOffset: number },
  slices: readonly Slice[],
  { level, threads }: { readonly level: number; readonly threads: number },
): { readonly frames: Frame[]; readonly end: number } {
  const packed = encodeFrames(slices.map((slice) => ({ ...NO_FRAME, ...slice })));
  const { fd, outFd, outOffset } = files;
  const end = tryCall("cr_pack", fd, outFd, outOffset, packed, slices.length, level, threads);
  if (end < 0) throw failure("cr_pack", errnoName(-end));
  const frames = slices.map((slice, index): Frame => {
    const at = index * FRAME_LAYOUT.bytes;
    return {
      ...slice,
      fileOffset: Number(packed.readBigUInt64LE(at + 16)),
      lengthBytes: Number(packed.readBigUInt64LE(at + 24)),
      crc32c: packed.readUInt32LE(at + FRAME_LAYOUT.crc32c),
    };
  });
  return { frames: frames.filter(({ lengthBytes }) => lengthBytes > 0), end };
}

/** NATIVE_MISSING unless libzstd can be loaded: to be known before anything is stopped. */
export function requireZstd(): void {
  packSlices({ fd: -1, outFd: -1, outOffset: 0 }, [], { level: 1, threads: 1 });
}

/** What native code reads plain bytes by: `struct cr_frame` of each, none for a plain file. */
export function encodeSource(frames: PageSource["frames"]): Buffer {
  return frames === null ? Buffer.alloc(0) : encodeFrames([...frames, NO_FRAME]);
}

function encodeFrames(frames: readonly Frame[]): Buffer {
  const packed = Buffer.alloc(frames.length * FRAME_LAYOUT.bytes);
  frames.forEach(({ plainOffset, plainBytes, fileOffset, lengthBytes, crc32c }, index) => {
    const at = index * FRAME_LAYOUT.bytes;
    packed.writeBigUInt64LE(BigInt(plainOffset), at);
    packed.writeBigUInt64LE(BigInt(plainBytes), at + 8);
    packed.writeBigUInt64LE(BigInt(fileOffset), at + 16);
    packed.writeBigUInt64LE(BigInt(lengthBytes), at + 24);
    packed.writeUInt32LE(crc32c, at + FRAME_LAYOUT.crc32c);
  });
  return packed;
}

/** What is wrong with the core itself; null where it is something else. */
function damage(path: string, errno: string): CrError | null {
  if (errno === "EBADMSG") {
    return new CrError("CORE_CORRUPT", `read core ${path}: a compressed frame does not match its checksum`, {
      hint: "use an older checkpoint; cr verify tells what is damaged",
      data: { path },
    });
  }
  if (errno !== "ENODATA") return null;
  return new CrError("CORE_TRUNCATED", `read core ${path}: it ends before its data does`, {
    hint: "compare its size with the original and copy it again, or use an older checkpoint",
    data: { path },
  });
}

function failure(fn: "cr_fill" | "cr_pack", errno: string): Error {
  if (errno !== "ENOSYS") return new NativeError(fn, errno);
  return new CrError("NATIVE_MISSING", "load libzstd, which compressed cores need: libzstd.so.1 is missing", {
    hint: "install it: apt-get install libzstd1",
  });
}
