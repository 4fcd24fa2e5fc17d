/** The descriptors of a process as /proc/PID/fd and fdinfo show them; what they are is decided elsewhere. */
import { type BigIntStats, openSync, readdirSync, readFileSync, readlinkSync, statSync } from "node:fs";
import { isErrno } from "../errors.js";
import { call } from "./native.js";

const O_CLOEXEC = 0o2000000;
const WATCH = /^tfd:\s*(\d+) events:\s*([0-9a-f]+) data:\s*([0-9a-f]+)\s+pos:\S+ ino:([0-9a-f]+)/gm;

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
}

export interface EpollWatch {
  readonly fd: number;
  readonly events: number;
  readonly data: bigint;
  /** Inode of the file that is watched: the descriptor's number may be another's by now. */
  readonly ino: bigint;
}

/** All descriptors, ascending. Throws the errno error when the process is gone or may not be looked at. */
export function readDescriptors(pid: number): OpenDescriptor[] {
  const numbers = readdirSync(`/proc/${pid}/fd`).map(Number);
  return numbers.sort((a, b) => a - b).flatMap((fd) => readOne(pid, fd) ?? []);
}

/** One descriptor; null when it was closed in between. */
function readOne(pid: number, fd: number): OpenDescriptor | null {
  try {
    const info = parseFdinfo(readFileSync(`/proc/${pid}/fdinfo/${fd}`, "latin1"));
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

/** Parses /proc/PID/fdinfo/N (proc_pid_fdinfo(5)). */
export function parseFdinfo(
  text: string,
): Pick<OpenDescriptor, "flags" | "cloexec" | "position" | "locks" | "watches"> {
  const value = (key: string) => new RegExp(`^${key}:\\s*(\\S+)`, "m").exec(text)?.[1] ?? "0";
  const flags = Number.parseInt(value("flags"), 8);
  return {
    flags: flags & ~O_CLOEXEC,
    cloexec: (flags & O_CLOEXEC) !== 0,
    position: BigInt(value("pos")),
    locks: text.split("\n").filter((line) => line.startsWith("lock:")).length,
    watches: [...text.matchAll(WATCH)].map(([, fd, events, data, ino]) => ({
      fd: Number(fd),
      events: Number.parseInt(events ?? "0", 16),
      data: BigInt(`0x${data}`),
      ino: BigInt(`0x${ino}`),
    })),
  };
}

/** True when two descriptors of a process share one open file description (kcmp(2)). Throws `NativeError`. */
export function sameDescription(pid: number, fd1: number, fd2: number): boolean {
  return call("cr_same_file", pid, fd1, fd2) === 0;
}

/** Opens the very file behind a descriptor for reading, deleted or not; a new description with its own offset. */
export function openTargetFile(pid: number, fd: number): number {
  return openSync(`/proc/${pid}/fd/${fd}`, "r");
}
