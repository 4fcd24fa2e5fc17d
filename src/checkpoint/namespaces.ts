/**
 * Namespaces of a process: refused, but for those that are carried (spaces.ts) and those in which `cr restore --pid ns`
 * puts programs. The latter have pids of their own and cr-init as process 1; users, groups and mounts are those of the host.
 */
import { isErrno } from "../errors.js";
import { hasOurMounts, readUserMap } from "../tracee/namespace-facts.js";
import { idsInwards } from "../tracee/pid-namespace.js";
import { readStat } from "../tracee/proc-status.js";
import { foreignNamespaces } from "../tracee/process-facts.js";
import type { Refusal } from "./refusal.js";
import { refusedInSpaces, refusedSpaces } from "./spaces.js";

/** Name of process 1 in a namespace of ours (native/launch/cr-init.c). */
const INIT = "cr-init";
const OURS = ["pid", "mnt", "user"];

/** The namespaces that differ from ours and cannot be made again, of the root of a tree or another member. */
export function refusedNamespaces(pid: number, root: number): Refusal[] {
  const foreign = foreignNamespaces(pid);
  const others = foreign.filter((kind) => !OURS.includes(kind));
  const refused = foreign.length > others.length && isMadeByRestore(pid, foreign) ? others : foreign;
  const chroot = { kind: "namespace", id: "root", what: "another root folder (chroot)" };
  return [
    ...refusedSpaces(pid, { root, foreign: refused.filter((kind) => kind !== "root") }),
    ...(refused.includes("root") ? [chroot] : []),
    ...(pid === root ? refusedInSpaces(pid) : []),
  ];
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

function unlessGone<T>(look: () => T): T | null {
  try {
    return look();
  } catch (error) {
    if (isErrno(error, "ENOENT", "ESRCH")) return null;
    throw error;
  }
}
