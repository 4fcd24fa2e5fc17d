/**
 * Locks that belong to an open file description (flock(2), open file description locks of fcntl(2)) are taken in cr,
 * whose descriptions the program inherits; those of the process (POSIX) are only looked at here and taken by the
 * program itself (description-status.ts).
 */
import { CrError } from "../errors.js";
import type { FileDescription } from "../state/fd.js";
import type { Lock } from "../state/kernel-object.js";
import { errnoName } from "../tracee/native.js";
import { ownCall, tryOwnCall } from "../tracee/own-call.js";
import type { FileSource } from "./open-descriptions.js";

const LOCK_SH = 1;
const LOCK_EX = 2;
const LOCK_NB = 4;
const F_GETLK = 5;
const F_OFD_SETLK = 37;
const F_RDLCK = 0;
const F_WRLCK = 1;
const F_UNLCK = 2;
const FLOCK_BYTES = 32;

/** Takes them all, or throws FILE_CHANGED that names the file and who holds it. */
export function takeLocks(
  descriptions: readonly FileDescription[],
  sources: ReadonlyMap<number, FileSource>,
): void {
  for (const { id, path, locks } of new Set(descriptions)) {
    const fd = sources.get(id)?.fd;
    if (fd === undefined) continue;
    for (const lock of locks) takeLock(fd, path, lock);
  }
}

function takeLock(fd: number, path: string, lock: Lock): void {
  if (lock.how === "lease") return;
  if (lock.how === "posix") {
    const range = lockRange(lock);
    ownCall("fcntl", fd, F_GETLK, range);
    if (range.readInt16LE(0) !== F_UNLCK) throw held(path, ` by process ${range.readInt32LE(24)}`);
    return;
  }
  const result =
    lock.how === "flock"
      ? tryOwnCall("flock", fd, (lock.type === "read" ? LOCK_SH : LOCK_EX) | LOCK_NB)
      : tryOwnCall("fcntl", fd, F_OFD_SETLK, lockRange(lock));
  if (result < 0) throw held(path, `: ${errnoName(-result)}`);
}

/** struct flock: type, whence, start, length, pid. */
export function lockRange({ type, start, end }: Lock): Buffer {
  const range = Buffer.alloc(FLOCK_BYTES);
  range.writeInt16LE(type === "read" ? F_RDLCK : F_WRLCK, 0);
  range.writeBigUInt64LE(start, 8);
  range.writeBigUInt64LE(end === null ? 0n : end - start, 16);
  return range;
}

function held(path: string, by: string): CrError {
  return new CrError("FILE_CHANGED", `restore the lock on ${path}: it is held by somebody else now${by}`, {
    hint: "end what holds the lock (lslocks shows it), and try again",
    data: { path },
  });
}
