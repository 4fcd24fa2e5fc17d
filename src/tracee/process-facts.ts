/** What /proc shows of a process from outside, in one reading: before the stop to refuse, in the stop to record. */
import { closeSync, openSync, readdirSync, readFileSync, readlinkSync, readSync, statSync } from "node:fs";
import { isErrno } from "../errors.js";
import type { Rlimit } from "../state/process.js";
import type { Vma } from "../state/vma.js";
import { type OpenDescriptor, readDescriptors } from "./descriptors.js";
import { readLimits } from "./limits.js";
import { readMappings } from "./maps.js";
import { readProcFile } from "./proc-file.js";
import { namespaceLinks, ownNamespaces, type ProcStat, readStat, readStatus } from "./proc-status.js";
import { threadsOf } from "./tasks.js";

export interface ProcessFacts {
  /** Its id; what is looked at may be another thread than the main one. */
  readonly pid: number;
  /** Status of its main thread, as wait(2) gives it, where that has ended; else null. */
  readonly mainEnded: number | null;
  readonly stat: ProcStat;
  readonly status: ReadonlyMap<string, string>;
  /** The same of each of its threads by tid, itself included; nothing of one that ended meanwhile. */
  readonly threadStatus: ReadonlyMap<number, ReadonlyMap<string, string>>;
  /** Link of /proc/PID/exe, ` (deleted)` included. */
  readonly exe: string;
  readonly cwd: { readonly path: string; readonly dev: bigint; readonly ino: bigint };
  readonly auxv: Buffer;
  readonly cmdline: string;
  readonly vmas: readonly Vma[];
  readonly descriptors: readonly OpenDescriptor[];
  readonly limits: readonly Rlimit[];
  /** Lines of /proc/PID/timers; empty without POSIX timers. */
  readonly timers: string;
  readonly personality: number;
  readonly oomScoreAdj: number;
  readonly coredumpFilter: number;
  /** The highest seccomp mode of a thread: 0 none, 1 strict, 2 filters. */
  readonly seccompMode: number;
}

/**
 * Reads it all, through the main thread or one that speaks for it (`speakerOf`), the mappings by `mappings`. Throws errno
 * errors as Node gives them: ENOENT or ESRCH gone, EACCES or EPERM not permitted.
 */
export function readProcessFacts(pid: number, mappings = readMappings): ProcessFacts {
  const cwd = statSync(`/proc/${pid}/cwd`, { bigint: true });
  const status = readStatus(pid);
  const threadStatus = statusOfThreads(pid, status);
  return {
    ...mainThread(pid, status),
    status,
    threadStatus,
    exe: readlinkSync(`/proc/${pid}/exe`),
    cwd: { path: readlinkSync(`/proc/${pid}/cwd`), dev: cwd.dev, ino: cwd.ino },
    auxv: readFileSync(`/proc/${pid}/auxv`),
    cmdline: text(pid, "cmdline"),
    vmas: mappings(pid),
    descriptors: readDescriptors(pid),
    limits: readLimits(pid),
    timers: optionalText(pid, "timers"),
    personality: Number.parseInt(readProcFile(`/proc/${pid}/personality`), 16),
    oomScoreAdj: Number(readProcFile(`/proc/${pid}/oom_score_adj`)),
    coredumpFilter: Number.parseInt(optionalText(pid, "coredump_filter") || "33", 16),
    seccompMode: Math.max(0, ...[...threadStatus.values()].map((one) => Number(one.get("Seccomp") ?? 0))),
  };
}

/** Name and start of a process are those of its main thread, alive or not. */
function mainThread(tid: number, status: ReadonlyMap<string, string>) {
  const pid = Number(status.get("Tgid") ?? tid);
  const stat = readStat(tid);
  if (pid === tid) return { pid, stat, mainEnded: null };
  const { comm, startTicks, exitCode } = readStat(pid);
  return { pid, stat: { ...stat, comm, startTicks }, mainEnded: exitCode };
}

function statusOfThreads(pid: number, own: ReadonlyMap<string, string>): ProcessFacts["threadStatus"] {
  const status = new Map<number, ReadonlyMap<string, string>>();
  for (const tid of threadsOf(pid)) {
    try {
      status.set(tid, tid === pid ? own : readStatus(pid, tid));
    } catch (error) {
      if (!isErrno(error, "ENOENT", "ESRCH")) throw error;
    }
  }
  return status;
}

/** Pids of the children of a process, whichever thread has made them. */
export function childrenOf(pid: number): number[] {
  try {
    return threadsOf(pid).flatMap((tid) => {
      const listed = text(pid, `task/${tid}/children`);
      return listed.split(" ").filter(Boolean).map(Number);
    });
  } catch (error) {
    // Kernels without CONFIG_PROC_CHILDREN have no such file, and a thread that has just ended has none either.
    if (!isErrno(error, "ENOENT", "ESRCH")) throw error;
  }
  return childrenByParents(pid);
}

/** The same from the parents that all processes of the host name. */
function childrenByParents(pid: number): number[] {
  const pids = readdirSync("/proc").filter((name) => /^\d+$/.test(name));
  return pids.map(Number).filter((other) => parentOf(other) === pid);
}

function parentOf(pid: number): number | null {
  try {
    return readStat(pid).ppid;
  } catch (error) {
    if (isErrno(error, "ENOENT", "ESRCH")) return null;
    throw error;
  }
}

/** Namespace kinds in which a process differs from us, and `root` when its root folder does. */
export function foreignNamespaces(pid: number): string[] {
  const ours = ownNamespaces();
  return [...namespaceLinks(pid)].flatMap(([kind, link]) => (ours.get(kind) === link ? [] : [kind]));
}

/** ELF class byte of the executable: 1 for 32 bit, 2 for 64 bit, 0 when it cannot be told. */
export function elfClass(pid: number): number {
  const fd = openSync(`/proc/${pid}/exe`, "r");
  try {
    const ident = Buffer.alloc(5);
    readSync(fd, ident, 0, 5, 0);
    return ident.toString("latin1", 0, 4) === "\x7fELF" ? (ident[4] ?? 0) : 0;
  } finally {
    closeSync(fd);
  }
}

function text(pid: number, name: string): string {
  return readFileSync(`/proc/${pid}/${name}`, "utf8");
}

/** A file that some kernels lack, that needs more rights than reading the rest, or of a thread that has just ended. */
function optionalText(pid: number, name: string): string {
  try {
    return text(pid, name);
  } catch (error) {
    if (isErrno(error, "ENOENT", "ESRCH", "EACCES", "EPERM")) return "";
    throw error;
  }
}
