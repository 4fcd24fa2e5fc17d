/**
 * Files without a name for what is needed for a while, in the folder for such files (TMPDIR, /tmp): however cr ends, they
 * are gone with it.
 */
import { constants, openSync, unlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { CrError, isErrno } from "../errors.js";
import { isNativeError } from "./native-error.js";

/** O_TMPFILE of open(2) on x86-64, which Node does not name. */
const O_TMPFILE = 0o20200000;
const MODE = 0o600;

/** Opens one for reading and writing; OUTPUT_FAILED where none can be made. */
export function openUnnamed(): number {
  try {
    return openIn(tmpdir());
  } catch (error) {
    throw spoolFailed("make a file for a while", error);
  }
}

/** The error for a file of this kind that could not be made or written to; others are passed on. */
export function spoolFailed(what: string, error: unknown): unknown {
  const name = isNativeError(error) ? error.errno : (error as NodeJS.ErrnoException).code;
  const reason = REASONS[name ?? ""];
  if (reason === undefined) return error;
  return new CrError("OUTPUT_FAILED", `${what} in ${tmpdir()}: ${reason}`, {
    hint: "free space there, or name another folder: TMPDIR=/var/tmp",
    cause: error,
  });
}

const REASONS: Readonly<Record<string, string>> = {
  ENOSPC: "the disk is full",
  EDQUOT: "the disk quota is used up",
  EFBIG: "it would be larger than the file system or ulimit -f allows",
  ENOENT: "the folder does not exist",
  ENOTDIR: "it is not a folder",
  EACCES: "the folder is not writable for you",
  EPERM: "the folder is not writable for you",
  EROFS: "the file system is read-only",
};

function openIn(folder: string): number {
  try {
    return openSync(folder, O_TMPFILE | constants.O_RDWR, MODE);
  } catch (error) {
    // Some file systems (NFS, older overlayfs) have no unnamed files.
    if (!isErrno(error, "EOPNOTSUPP", "ENOTSUP", "EISDIR", "EINVAL")) throw error;
  }
  const path = join(folder, `.cr.${process.pid}.${process.hrtime.bigint().toString(36)}.tmp`);
  const flags = constants.O_RDWR | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW;
  const fd = openSync(path, flags, MODE);
  unlinkSync(path);
  return fd;
}
