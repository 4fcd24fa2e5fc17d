/**
 * Which namespaces of a process are its own: not ours, and not those in which `cr restore --pid ns` puts programs. These
 * have the pids of their own and cr-init as process 1; users, groups and mounts are those of the host.
 */
import { isErrno } from "../errors.js";
import { hasOurMounts, readUserMap } from "../tracee/namespace-facts.js";
import { idsInwards } from "../tracee/pid-namespace.js";
import { readStat } from "../tracee/proc-status.js";
import { foreignNamespaces } from "../tracee/process-facts.js";

/** Name of process 1 in a namespace of ours (native/launch/cr-init.c). */
const INIT = "cr-init";
const OURS = ["pid", "mnt", "user"];

/** Kinds of namespaces of a process that differ from ours, but for those that `--pid ns` made; `root` for its folder. */
export function ownKinds(pid: number): string[] {
  const foreign = foreignNamespaces(pid);
  const others = foreign.filter((kind) => !OURS.includes(kind));
  return foreign.length > others.length && isMadeByRestore(pid, foreign) ? others : foreign;
}

/** Who stands for all that are in other namespaces than ours: the first process of a tree that is, or the one behind it. */
export function insiderOf([root = 0, child]: readonly number[]): number {
  const isIn = (pid: number) => (unlessGone(() => ownKinds(pid)) ?? []).length > 0;
  return child !== undefined && !isIn(root) && isIn(child) ? child : root;
}

function isMadeByRestore(pid: number, foreign: readonly string[]): boolean {
  if (!foreign.includes("pid") || !foreign.includes("mnt")) return false;
  if (foreign.includes("user") && !mapsOnlyToItself(readUserMap(pid))) return false;
  const depth = idsInwards(process.pid).length;
  return idsInwards(pid).length === depth + 1 && initName(pid, depth) === INIT && hasOurMounts(pid);
}

/** The name of process 1 of the namespace, up the line of parents; null when that leads out of it. */
function initName(pid: number, depth: number): string | null {
  for (let at = pid; at > 1; at = readStat(at).ppid) {
    const ids = unlessGone(() => idsInwards(at));
    if (ids === null || ids.length <= depth) return null;
    if (ids.at(-1) === 1) return readStat(at).comm;
  }
  return null;
}

/** Every id is the same inside and outside. */
function mapsOnlyToItself(map: readonly (readonly number[])[]): boolean {
  return map.every(([inside, outside]) => inside === outside);
}

/** Null where a process is gone, or may not be looked at: that is told where it is looked at itself. */
function unlessGone<T>(look: () => T): T | null {
  try {
    return look();
  } catch (error) {
    if (isErrno(error, "ENOENT", "ESRCH", "EACCES", "EPERM")) return null;
    throw error;
  }
}
