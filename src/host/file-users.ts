/**
 * Which live processes can change a file behind a restore's back: those that have it open for writing, or mapped
 * shared and writable. Sees only processes the caller may read (proc(5), PTRACE_MODE_READ): as root, all.
 */
import { type BigIntStats, readdirSync, statSync } from "node:fs";
import { formatDevice } from "./device-number.js";
import { processStatus } from "./process-status.js";
import { readText } from "./sysfs.js";

/** A file by what the kernel knows it by: `major:minor` in decimal, and the inode. */
export interface FileId {
  readonly dev: string;
  readonly ino: bigint;
}

export interface FileUser {
  readonly pid: number;
  readonly comm: string;
  /** `write`: a descriptor open for writing; `shared-map`: a shared writable mapping. */
  readonly how: "write" | "shared-map";
  readonly file: FileId;
}

const O_ACCMODE = 0o3;

/** Processes other than `exceptPids` that write to one file. */
export function otherUsersOf(file: FileId, exceptPids: readonly number[]): readonly FileUser[] {
  return otherUsersOfAll([file], exceptPids);
}

/** The same for many files in one pass over /proc: one process can be listed for several files, once for each. */
export function otherUsersOfAll(
  files: readonly FileId[],
  exceptPids: readonly number[],
): readonly FileUser[] {
  const wanted = new Map(files.map((file) => [`${file.dev} ${file.ino}`, file]));
  const users: FileUser[] = [];
  if (wanted.size === 0) return users;
  for (const pid of livePids()) {
    if (exceptPids.includes(pid)) continue;
    const found = new Map<string, FileUser["how"]>();
    for (const key of mappedShared(pid)) if (wanted.has(key)) found.set(key, "shared-map");
    for (const key of openForWriting(pid, wanted)) found.set(key, "write");
    if (found.size === 0) continue;
    const comm = processStatus(pid)?.comm ?? "?";
    for (const [key, how] of found) {
      const file = wanted.get(key);
      if (file !== undefined) users.push({ pid, comm, how, file });
    }
  }
  return users;
}

function livePids(): readonly number[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .map(Number);
}

function openForWriting(pid: number, wanted: ReadonlyMap<string, FileId>): readonly string[] {
  return list(`/proc/${pid}/fd`).flatMap((fd) => {
    const key = identify(`/proc/${pid}/fd/${fd}`);
    if (key === undefined || !wanted.has(key)) return [];
    const flags = /^flags:\s+(\d+)$/m.exec(readText(`/proc/${pid}/fdinfo/${fd}`) ?? "")?.[1];
    // Gone between the two reads: closed, so no user any more.
    return flags !== undefined && (Number.parseInt(flags, 8) & O_ACCMODE) !== 0 ? [key] : [];
  });
}

/**
 * Files mapped shared and writable. map_files gives the true device and inode on every file system (overlayfs
 * and btrfs print others in maps), but needs CAP_CHECKPOINT_RESTORE; otherwise the line itself has to do.
 */
function mappedShared(pid: number): readonly string[] {
  const lines = (readText(`/proc/${pid}/maps`) ?? "").split("\n");
  return lines.flatMap((line) => {
    const [range = "", perms = "", , dev = "", ino = "0"] = line.split(/ +/, 5);
    if (perms[1] !== "w" || perms[3] !== "s" || ino === "0") return [];
    const [major = 0, minor = 0] = dev.split(":").map((part) => Number.parseInt(part, 16));
    return [identify(`/proc/${pid}/map_files/${range}`) ?? `${major}:${minor} ${ino}`];
  });
}

/** `major:minor inode` of what a path leads to; undefined when it cannot be looked at. */
function identify(path: string): string | undefined {
  let stats: BigIntStats;
  try {
    stats = statSync(path, { bigint: true });
  } catch {
    return undefined;
  }
  return `${formatDevice(stats.dev)} ${stats.ino}`;
}

function list(folder: string): readonly string[] {
  try {
    return readdirSync(folder);
  } catch {
    // The process ended or belongs to somebody else.
    return [];
  }
}
