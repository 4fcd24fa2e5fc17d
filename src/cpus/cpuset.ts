/**
 * A cpuset cgroup for one restored program, `recore/<name>.<n>.<pid of cr>`: later children cannot leave it, and an
 * affinity outside of it is EINVAL. The hierarchy comes in as data (host/cgroup.ts); which CPUs, from placement.
 * A group outlives `cr` while the program lives; the empty ones of dead runs are removed at the next use.
 */
import { mkdirSync, readdirSync, readFileSync, rmdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { CrError, isErrno } from "../errors.js";
import { formatCpuList } from "./cpu-list.js";

/** What of a hierarchy is needed here: version, folders, and the CPUs and memory nodes of `cr`'s own group. */
export interface CpusetParent {
  readonly version: 1 | 2;
  readonly mount: string;
  readonly own: string;
  readonly ownCpus: string;
  readonly ownMems: string;
}

export interface Cpuset {
  readonly folder: string;
  /** Write a pid here to confine that process; do it before it has children, and before its affinity is set. */
  readonly procsFile: string;
  /** Confines a process: CGROUP when the kernel refuses. */
  join(pid: number): void;
  /** Removes the group if it is empty; one in use stays and is removed by a later run. */
  remove(): void;
}

/**
 * Makes the group. Needs root or a delegated subtree; CGROUP with the kernel's reason otherwise. In version 2 the
 * group stands at the top of the hierarchy: a group with processes in it cannot hand controllers down.
 */
export function makeCpuset(parent: CpusetParent, name: string, cpus: readonly number[]): Cpuset {
  const top = join(parent.version === 1 ? parent.own : parent.mount, "recore");
  const folder = attempt(top, () => {
    if (parent.version === 2) enableController(parent.mount);
    makeGroup(top);
    // An empty v1 cpuset takes no tasks: both levels need CPUs and memory nodes. The upper level is `cr`'s own.
    writeValue(join(top, "cpuset.cpus"), parent.ownCpus);
    writeValue(join(top, "cpuset.mems"), parent.ownMems);
    if (parent.version === 2) enableController(top);
    removeLeftovers(top);
    return makeNewGroup(join(top, name.replace(/[^\w.-]/g, "_")));
  });
  attempt(folder, () => {
    try {
      writeFileSync(join(folder, "cpuset.cpus"), formatCpuList(cpus));
      writeFileSync(join(folder, "cpuset.mems"), parent.ownMems);
    } catch (error) {
      removeIfEmpty(folder);
      throw error;
    }
  });
  const procsFile = join(folder, "cgroup.procs");
  return {
    folder,
    procsFile,
    join: (pid) => attempt(folder, () => writeFileSync(procsFile, String(pid))),
    remove: () => removeIfEmpty(folder),
  };
}

/** Makes a group; false when it is there already. */
function makeGroup(folder: string): boolean {
  try {
    mkdirSync(folder);
    return true;
  } catch (error) {
    if (isErrno(error, "EEXIST")) return false;
    throw error;
  }
}

/** A group nobody else has: one process may restore several programs, each with CPUs of its own. */
function makeNewGroup(prefix: string): string {
  for (let number = 1; ; number += 1) {
    const folder = `${prefix}.${number}.${process.pid}`;
    if (makeGroup(folder)) return folder;
  }
}

/** Removes groups that no process is in and whose maker is gone (it may not have put its program in yet). */
function removeLeftovers(top: string): void {
  for (const entry of readdirSync(top, { withFileTypes: true })) {
    const maker = Number(/\.(\d+)$/.exec(entry.name)?.[1] ?? 0);
    if (entry.isDirectory() && maker > 0 && !isRunning(maker)) removeIfEmpty(join(top, entry.name));
  }
}

function removeIfEmpty(folder: string): void {
  try {
    rmdirSync(folder);
  } catch (error) {
    // EBUSY: a process lives there.
    if (!isErrno(error, "EBUSY", "ENOENT", "ENOTEMPTY")) throw error;
  }
}

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return !isErrno(error, "ESRCH");
  }
}

/** Writing what is there already would fail with EBUSY where groups below use less or more of it. */
function writeValue(file: string, value: string): void {
  if (readIfThere(file) !== value) writeFileSync(file, value);
}

function enableController(folder: string): void {
  const file = join(folder, "cgroup.subtree_control");
  if (!readIfThere(file).split(" ").includes("cpuset")) writeFileSync(file, "+cpuset");
}

function readIfThere(file: string): string {
  try {
    return readFileSync(file, "utf8").trim();
  } catch (error) {
    if (isErrno(error, "ENOENT")) return "";
    throw error;
  }
}

function attempt<T>(folder: string, action: () => T): T {
  try {
    return action();
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    throw new CrError("CGROUP", `making the cpuset cgroup ${folder}: ${error.message}`, {
      hint: `check who may write to ${dirname(folder)}, or leave --cpus out and use taskset`,
      cause: error,
    });
  }
}
