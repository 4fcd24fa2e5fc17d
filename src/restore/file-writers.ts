/**
 * Who else can change a file behind a restore's back. Mostly nobody can, which the kernel tells in a moment: it gives a read
 * lease (fcntl(2), F_SETLEASE) only on a file that nobody has open for writing, or mapped shared from such a descriptor.
 * Where it gives none, because somebody has or for any other reason, all processes are looked through.
 */
import { closeSync, constants } from "node:fs";
import { constants as os } from "node:os";
import { formatDevice } from "../host/device-number.js";
import { type FileUser, otherUsersOfAll } from "../host/file-users.js";
import { reopenDescriptor } from "../host/own-descriptors.js";
import { tryOwnCall } from "../tracee/own-call.js";
import type { FileLook } from "./file-look.js";

/** Of fcntl(2). */
const F_SETSIG = 10;
const F_SETLEASE = 1024;
const [F_RDLCK, F_UNLCK] = [0, 2];

/** Processes other than this one that write to regular files, each once for each file. */
export function otherWriters(files: readonly FileLook[]): readonly FileUser[] {
  const doubtful = files.filter((file) => !hasNoWriter(file.fd));
  const ids = doubtful.map(({ stat }) => ({ dev: formatDevice(stat.dev), ino: stat.ino }));
  return otherUsersOfAll(ids, [process.pid]);
}

/** True where it is certain; false also where the kernel does not tell: not our file, or no leases on its file system. */
function hasNoWriter(pathFd: number): boolean {
  let fd: number;
  try {
    fd = reopenDescriptor(pathFd, constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOCTTY);
  } catch {
    return false;
  }
  try {
    // Who opens it for writing in this moment waits for the end of the lease, and we get a signal: one that is ignored.
    if (tryOwnCall("fcntl", fd, F_SETSIG, os.signals.SIGURG) < 0) return false;
    if (tryOwnCall("fcntl", fd, F_SETLEASE, F_RDLCK) < 0) return false;
    tryOwnCall("fcntl", fd, F_SETLEASE, F_UNLCK);
    return true;
  } finally {
    closeSync(fd);
  }
}
