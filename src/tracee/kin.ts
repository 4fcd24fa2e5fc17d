/** A process and its descendants as /proc lists them; stable only once none of them runs. */
import { isErrno } from "../errors.js";
import { isNativeError } from "./native-error.js";
import { tryOwnCall } from "./own-call.js";
import { type ProcStat, readStat } from "./proc-status.js";
import { childrenOf } from "./process-facts.js";
import { firstSame, type SameKind } from "./same.js";
import { leaderOf } from "./tasks.js";

/** What processes can share without being threads of one (CLONE_VM, CLONE_FILES, CLONE_FS, CLONE_SIGHAND, …). */
export type SharedKind = Exclude<SameKind, "file">;
export const SHARED_KINDS: readonly SharedKind[] = ["vm", "files", "fs", "sighand", "io", "sysvsem"];

/** One process of a tree; a dead one stays in it until its parent has waited for it. */
export interface Relative {
  readonly pid: number;
  /** Its parent in the tree, 0 for the root. */
  readonly parent: number;
  readonly stat: ProcStat;
  /** Ended with all its threads, and not waited for. */
  readonly isDead: boolean;
}

/** `root` and all its descendants, parents before their children; empty when `root` is gone. */
export function familyOf(root: number): Relative[] {
  const family: Relative[] = [];
  const seen = new Set<number>();
  const queue = [{ pid: root, parent: 0 }];
  for (let one = queue.shift(); one !== undefined; one = queue.shift()) {
    const stat = statOrNull(one.pid);
    // A child that moved to another parent between two readings is listed twice.
    if (stat === null || stat.state === "X" || seen.has(one.pid)) continue;
    seen.add(one.pid);
    const isDead = stat.state === "Z" && stat.threads <= 1;
    family.push({ ...one, stat, isDead });
    const { pid } = one;
    if (!isDead) queue.push(...childrenOf(pid).map((child) => ({ pid: child, parent: pid })));
  }
  return family;
}

/** True when a process is gone, or a zombie as a whole. */
export function hasEnded(pid: number): boolean {
  const stat = statOrNull(pid);
  return stat === null || stat.state === "X" || (stat.state === "Z" && stat.threads <= 1);
}

/** True in a stop of a tracer's. */
export function isStopped(pid: number): boolean {
  return statOrNull(pid)?.state === "t";
}

/** True in a wait that no signal ends, such as that of a parent in vfork(2). */
export function isWaiting(pid: number): boolean {
  return statOrNull(pid)?.state === "D";
}

/** Its parent and the other children of that; nobody for a process without one. */
export function siblingsOf(pid: number): number[] {
  const parent = statOrNull(pid)?.ppid ?? 0;
  // Where the main thread has ended, it is looked at under the number of another one.
  const leader = leaderOf(pid);
  return parent === 0 ? [] : [parent, ...childrenOf(parent).filter((child) => child !== leader)];
}

function statOrNull(pid: number): ProcStat | null {
  try {
    return readStat(pid);
  } catch (error) {
    if (isErrno(error, "ENOENT", "ESRCH")) return null;
    throw error;
  }
}

/** True when both have one address space: a vfork in progress, or a clone with CLONE_VM. */
export function sharesMemory(pid: number, other: number): boolean {
  return firstSharing("vm", [pid, other])[1] === 0;
}

/** For each process the index of the first that it shares this with, or its own; so where one has ended, or may not be asked. */
export function firstSharing(what: SharedKind, pids: readonly number[]): number[] {
  try {
    return firstSame(
      what,
      pids.map((pid) => ({ pid, fd: 0 })),
    );
  } catch (error) {
    if (!isNativeError(error, "EPERM")) throw error;
    return pids.map((_, index) => index);
  }
}

const CLONE_SYSVSEM = 0x4_0000;

/**
 * Those of `pids` that have anything to share: an I/O context and a list of semaphore adjustments (SEM_UNDO) are made when
 * they are first needed, and two processes without one look alike. cr is one without: it gives up the list of its own
 * threads, and has no I/O context unless somebody gave it a priority; process 1 mostly has none either.
 */
export function withOwn(what: SharedKind, pids: readonly number[]): number[] {
  if (what !== "io" && what !== "sysvsem") return [...pids];
  if (what === "sysvsem") tryOwnCall("unshare", CLONE_SYSVSEM);
  const without = [tryOwnCall("gettid"), ...(what === "io" ? [1] : [])];
  let left = [...pids];
  for (const other of without) {
    const [, ...first] = firstSharing(what, [other, ...left]);
    left = left.filter((_, index) => first[index] !== 0);
  }
  return left;
}
