/**
 * Cutting grown files back to their recorded length. What is cut off is saved beside the core first, and all of
 * it can be put back until the program starts. Which files are cut is decided in regular-file.ts.
 */
import {
  closeSync,
  constants,
  fstatSync,
  fsyncSync,
  ftruncateSync,
  openSync,
  readSync,
  unlinkSync,
} from "node:fs";
import { basename, dirname } from "node:path";
import { CrError, isErrno } from "../errors.js";
import { writeAll } from "../file-bytes.js";
import { dataSpans } from "../tracee/data-spans.js";
import { isNativeError } from "../tracee/native-error.js";
import { ownCall } from "../tracee/own-call.js";

/** A file to cut; `fd` is open for reading and writing. */
export interface Cut {
  readonly path: string;
  readonly fd: number;
  readonly toBytes: number;
  /** Modification time to put back, so that the next restore finds the file as recorded. */
  readonly mtimeNs: bigint;
}

/** A cut that was made, and where its tail is. */
export interface CutDone {
  readonly path: string;
  readonly tailPath: string;
  readonly tailBytes: number;
}

export interface CutsDone {
  readonly done: readonly CutDone[];
  /** Puts all tails back and removes their copies. */
  undo(): void;
}

interface Tail extends CutDone {
  readonly cut: Cut;
  /** Time that an undo puts back. */
  readonly mtimeNs: bigint;
}

const CHUNK_BYTES = 1 << 20;
const NS_PER_S = 1_000_000_000n;
const UTIME_OMIT = (1n << 30n) - 2n;
const TAILS_MAX = 10_000;

/**
 * Saves the tails of all files as `CORE.tail.N.NAME` (mode 0600, on disk before anything is cut), then cuts all.
 * On any failure everything is as before: RESTORE_FAILED, or FILE_CHANGED for a file that shrank meanwhile.
 */
export function cutBack(cuts: readonly Cut[], corePath: string): CutsDone {
  const tails: Tail[] = [];
  const undo = () => putBack(tails);
  try {
    for (const cut of cuts) tails.push(saveTail(cut, corePath));
    if (tails.length > 0) syncFolder(dirname(corePath));
    for (const { cut } of tails) {
      ftruncateSync(cut.fd, cut.toBytes);
      setTime(cut.fd, cut.mtimeNs);
    }
  } catch (error) {
    undo();
    throw error instanceof CrError ? error : cutFailed(error);
  }
  return { done: tails.map(({ path, tailPath, tailBytes }) => ({ path, tailPath, tailBytes })), undo };
}

/** Sets the modification time where the caller may (it takes the file's owner); the length is what matters. */
export function setTime(fd: number, mtimeNs: bigint): void {
  // Node would cut it to microseconds. Two timespecs: access time as it is, and this one (utimensat(2)).
  const times = Buffer.alloc(32);
  times.writeBigInt64LE(UTIME_OMIT, 8);
  times.writeBigInt64LE(mtimeNs / NS_PER_S, 16);
  times.writeBigInt64LE(mtimeNs % NS_PER_S, 24);
  try {
    ownCall("utimensat", fd, 0, times, 0);
  } catch (error) {
    if (!isNativeError(error, "EPERM", "EACCES")) throw error;
  }
}

function saveTail(cut: Cut, corePath: string): Tail {
  const stat = fstatSync(cut.fd, { bigint: true });
  const tailBytes = Number(stat.size) - cut.toBytes;
  if (tailBytes < 0) {
    throw new CrError("FILE_CHANGED", `cut back ${cut.path}: it shrank to ${stat.size} bytes meanwhile`, {
      hint: "find out who writes to it, then restore again",
    });
  }
  const { path: tailPath, fd } = createBeside(corePath, "tail", basename(cut.path));
  try {
    copyBytes(cut.fd, fd, { from: cut.toBytes, to: 0, lengthBytes: tailBytes });
    fsyncSync(fd);
  } catch (error) {
    unlinkSync(tailPath);
    throw error;
  } finally {
    closeSync(fd);
  }
  return { path: cut.path, tailPath, tailBytes, cut, mtimeNs: stat.mtimeNs };
}

/** Makes `CORE.SORT.N.NAME`, mode 0600, with the first N that is free. RESTORE_FAILED when there is none. */
export function createBeside(
  corePath: string,
  sort: "tail" | "later",
  name: string,
): { readonly path: string; readonly fd: number } {
  const flags = constants.O_RDWR | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW;
  for (let number = 0; number < TAILS_MAX; number += 1) {
    const path = `${corePath}.${sort}.${number}.${name}`;
    try {
      return { path, fd: openSync(path, flags, 0o600) };
    } catch (error) {
      if (!isErrno(error, "EEXIST")) throw error;
    }
  }
  throw new CrError(
    "RESTORE_FAILED",
    `save what ${name} held: ${TAILS_MAX} such files lie beside ${corePath}`,
    {
      hint: "move or remove those of earlier restores",
    },
  );
}

/** One tail that cannot be put back stays beside the core and keeps no other from being put back. */
function putBack(tails: Tail[]): void {
  const failed: string[] = [];
  for (const tail of tails.splice(0)) {
    try {
      putOneBack(tail);
    } catch (error) {
      failed.push(`${tail.tailPath} to ${tail.path} (${error instanceof Error ? error.message : error})`);
    }
  }
  if (failed.length === 0) return;
  throw new CrError("RESTORE_FAILED", `put the ends of files back: it failed for ${failed.join(", ")}`, {
    hint: "append these tails to their files by hand: cat TAIL >> FILE",
  });
}

function putOneBack({ cut, tailPath, tailBytes, mtimeNs }: Tail): void {
  const fd = openSync(tailPath, "r");
  try {
    copyBytes(fd, cut.fd, { from: 0, to: cut.toBytes, lengthBytes: tailBytes });
  } finally {
    closeSync(fd);
  }
  setTime(cut.fd, mtimeNs);
  unlinkSync(tailPath);
}

/** Copies a range of bytes to where the target has none yet, holes kept; throws when the source ends before. */
export function copyBytes(
  source: number,
  target: number,
  range: { from: number; to: number; lengthBytes: number },
): void {
  const { from, to, lengthBytes } = range;
  const missing = from + lengthBytes - fstatSync(source).size;
  if (missing > 0) throw new Error(`the file ended ${missing} bytes early`);
  const chunk = Buffer.alloc(Math.min(CHUNK_BYTES, lengthBytes));
  for (const span of dataSpans(source, from, from + lengthBytes)) {
    for (let done = 0; done < span.lengthBytes; ) {
      const at = span.fileOffset + done;
      const read = readSync(source, chunk, 0, Math.min(chunk.length, span.lengthBytes - done), at);
      if (read === 0) throw new Error(`the file ended ${span.lengthBytes - done} bytes early`);
      writeAll(target, chunk.subarray(0, read), to + at - from);
      done += read;
    }
  }
  if (fstatSync(target).size < to + lengthBytes) ftruncateSync(target, to + lengthBytes);
}

function syncFolder(path: string): void {
  const fd = openSync(path, "r");
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}

function cutFailed(error: unknown): CrError {
  const reason = error instanceof Error ? error.message : String(error);
  return new CrError("RESTORE_FAILED", `roll grown files back: ${reason}; all files are as they were`, {
    hint: "make room or give write permission beside the core, or restore with --files keep",
    cause: error,
  });
}
