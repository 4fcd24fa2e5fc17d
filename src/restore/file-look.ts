/**
 * Looking at a file by its recorded path without opening it in earnest: O_PATH and O_NOFOLLOW have no effect on
 * devices or FIFOs, wait for nobody, and the descriptor stays on what was looked at whatever the name does next.
 */
import { type BigIntStats, closeSync, constants, fstatSync, lstatSync, openSync } from "node:fs";
import { CrError, isErrno } from "../errors.js";
import { formatDevice } from "../host/device-number.js";
import { reopenDescriptor } from "../host/own-descriptors.js";
import { openStraight } from "../tracee/straight-path.js";

/** O_PATH of open(2) on x86-64, which Node does not name. */
const O_PATH = 0o10000000;

/** A file as it is found now. */
export interface FoundFile {
  readonly dev: string;
  readonly ino: bigint;
  readonly sizeBytes: bigint;
  readonly mtimeNs: bigint;
}

/** A look at a file; `fd` is an O_PATH descriptor that the holder closes. */
export interface FileLook {
  readonly path: string;
  readonly fd: number;
  readonly stat: BigIntStats;
}

/**
 * Looks at a path. FILE_MISSING when there is nothing, NOT_PERMITTED when a folder on the way is closed, FILE_CHANGED
 * for root when one is a symbolic link.
 */
export function lookAt(path: string): FileLook {
  let fd: number;
  try {
    fd = openStraight(path, O_PATH | constants.O_NOFOLLOW);
  } catch (error) {
    throw openFailed(path, error);
  }
  try {
    return { path, fd, stat: fstatSync(fd, { bigint: true }) };
  } catch (error) {
    closeSync(fd);
    throw openFailed(path, error);
  }
}

/** Opens what was looked at. O_NOFOLLOW would stop at the /proc link itself, so it takes the name once more. */
export function openLook(look: FileLook, flags: number): number {
  try {
    if ((flags & constants.O_NOFOLLOW) === 0) return reopenDescriptor(look.fd, flags);
    const fd = openSync(look.path, flags);
    const { dev, ino } = fstatSync(fd, { bigint: true });
    if (dev === look.stat.dev && ino === look.stat.ino) return fd;
    closeSync(fd);
    throw new CrError("FILE_CHANGED", `open ${look.path}: it was replaced while it was being opened`);
  } catch (error) {
    throw error instanceof CrError ? error : openFailed(look.path, error);
  }
}

/** lstat(2) with the same errors, for files that are not going to be opened. */
export function statOf(path: string): BigIntStats {
  try {
    return lstatSync(path, { bigint: true });
  } catch (error) {
    throw openFailed(path, error);
  }
}

/** The error for a file that could not be opened, by what the kernel said. */
export function openFailed(path: string, error: unknown): CrError {
  if (isErrno(error, "ENOENT", "ENOTDIR", "ENXIO", "ENODEV")) {
    return new CrError("FILE_MISSING", `open ${path}: it is not there any more, the program needs it`, {
      hint: "put it back from a backup, or make the file system that held it available again",
      data: { path },
      cause: error,
    });
  }
  if (isErrno(error, "ELOOP")) {
    const what = "it, or a folder on the way to it, is a symbolic link now";
    return new CrError("FILE_CHANGED", `open ${path}: ${what}, which root does not follow`, {
      hint: `look where it leads (namei -l '${path}'), and put the folder back`,
      data: { path },
      cause: error,
    });
  }
  const reason = isErrno(error, "EACCES", "EPERM") ? "permission denied" : String((error as Error).message);
  const code = isErrno(error, "EACCES", "EPERM") ? "NOT_PERMITTED" : "RESTORE_FAILED";
  return new CrError(code, `open ${path}: ${reason}, the program had it open`, {
    hint: `run cr as a user who may open it (ls -l '${path}')`,
    data: { path },
    cause: error,
  });
}

/** The facts that tell whether a file is the recorded one. */
export function foundFile(stat: BigIntStats): FoundFile {
  return { dev: formatDevice(stat.dev), ino: stat.ino, sizeBytes: stat.size, mtimeNs: stat.mtimeNs };
}

/** What a file is, for messages. */
export function describeKind(stat: BigIntStats): string {
  if (stat.isSymbolicLink()) return "a symbolic link";
  if (stat.isDirectory()) return "a folder";
  if (stat.isFIFO()) return "a FIFO";
  if (stat.isSocket()) return "a socket";
  if (stat.isBlockDevice() || stat.isCharacterDevice()) return `device ${formatDevice(stat.rdev)}`;
  return "a regular file";
}

/**
 * Modification times are equal to within a microsecond: Node sets times as doubles of seconds, so a time that a
 * rollback put back is exact to some 250 ns.
 */
export function isSameTime(a: bigint, b: bigint): boolean {
  const difference = a < b ? b - a : a - b;
  return difference < 1_000n;
}
