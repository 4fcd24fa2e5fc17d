/** The descriptors of a process as /proc/PID/fd and fdinfo show them; what they are is decided elsewhere. */
import { type BigIntStats, openSync, readdirSync, readlinkSync, statSync } from "node:fs";
import { isErrno } from "../errors.js";
import { type EpollWatch, epollWatches } from "./fdinfo.js";
import { errnoName, NativeError } from "./native.js";
import { tryOwnCall } from "./own-call.js";
import { readProcFile } from "./proc-file.js";

const O_CLOEXEC = 0o2000000;
const O_DIRECT = 0o40000;
/** linux/kcmp.h */
const KCMP_EPOLL_TFD = 7;

/** One descriptor as the kernel shows it. */
export interface OpenDescriptor {
  readonly fd: number;
  /** Link of /proc/PID/fd/N as it is, ` (deleted)` included. */
  readonly link: string;
  /** Flags of open(2), without O_CLOEXEC. */
  readonly flags: number;
  readonly cloexec: boolean;
  readonly position: bigint;
  readonly stat: BigIntStats;
  /** Record locks held through it (`lock:` lines of fdinfo). */
  readonly locks: number;
  /** What it watches, if it is an epoll instance (`tfd:` lines of fdinfo). */
  readonly watches: readonly EpollWatch[];
  /** The whole of fdinfo, for what only some kinds tell (fdinfo.ts). */
  readonly info: string;
}

/** All descriptors, ascending. Throws the errno error when the process is gone or may not be looked at. */
export function readDescriptors(pid: number): OpenDescriptor[] {
  const numbers = readdirSync(`/proc/${pid}/fd`).map(Number);
  return numbers.sort((a, b) => a - b).flatMap((fd) => readOne(pid, fd) ?? []);
}

/** One descriptor; null when it was closed in between. */
function readOne(pid: number, fd: number): OpenDescriptor | null {
  try {
    const info = parseFdinfo(readInfo(pid, fd));
    return {
      fd,
      link: readlinkSync(`/proc/${pid}/fd/${fd}`),
      stat: statSync(`/proc/${pid}/fd/${fd}`, { bigint: true }),
      ...info,
    };
  } catch (error) {
    if (isErrno(error, "ENOENT")) return null;
    throw error;
  }
}

/** The text of fdinfo. */
export function readInfo(pid: number, fd: number): string {
  return readProcFile(`/proc/${pid}/fdinfo/${fd}`);
}

/** True when one of the descriptors has O_DIRECT. */
export function hasDirectDescriptor(pid: number): boolean {
  return readdirSync(`/proc/${pid}/fd`).some((fd) => {
    try {
      return (parseFdinfo(readInfo(pid, Number(fd))).flags & O_DIRECT) !== 0;
    } catch (error) {
      if (isErrno(error, "ENOENT")) return false;
      throw error;
    }
  });
}

/** Parses /proc/PID/fdinfo/N (proc_pid_fdinfo(5)). */
export function parseFdinfo(
  text: string,
): Pick<OpenDescriptor, "flags" | "cloexec" | "position" | "locks" | "watches" | "info"> {
  const value = (key: string) => new RegExp(`^${key}:\\s*(\\S+)`, "m").exec(text)?.[1] ?? "0";
  const flags = Number.parseInt(value("flags"), 8);
  return {
    flags: flags & ~O_CLOEXEC,
    cloexec: (flags & O_CLOEXEC) !== 0,
    position: BigInt(value("pos")),
    locks: text.split("\n").filter((line) => line.startsWith("lock:")).length,
    watches: epollWatches(text),
    info: text,
  };
}

/** True when what an epoll instance watches as `fd` is still what the process has as `fd` (KCMP_EPOLL_TFD). */
export function stillWatched(pid: number, epoll: number, fd: number): boolean {
  const slot = Buffer.alloc(12);
  slot.writeUInt32LE(epoll, 0);
  slot.writeUInt32LE(fd, 4);
  const order = tryOwnCall("kcmp", pid, pid, KCMP_EPOLL_TFD, fd, slot);
  // What went meanwhile (EBADF, ENOENT, or with its process, ESRCH) is another one, too.
  const errno = order < 0 ? errnoName(-order) : "";
  if (errno === "EPERM") throw new NativeError("cr_own_call", errno);
  return order === 0;
}

/** Opens the very file behind a descriptor for reading, deleted or not; a new description with its own offset. */
export function openTargetFile(pid: number, fd: number): number {
  return openSync(`/proc/${pid}/fd/${fd}`, "r");
}
