/** The mounts of another mount namespace beside ours (mount_namespaces(7)). */
import { readFileSync, readlinkSync } from "node:fs";
import { type Mount, readMounts } from "./namespace-facts.js";

const PROC_OPTIONS = "rw,nosuid,nodev,noexec,relatime";

export interface MountDifferences {
  /** What it has and we have not, and the other way round: places, with what is there. */
  readonly extra: readonly Mount[];
  readonly missing: readonly Mount[];
  /** How its mounts hear of others; null where that is not the same for all of them. */
  readonly propagation: "private" | "slave" | "unchanged" | null;
}

/** Compares the mounts of a process with ours. */
export function mountDifferences(pid: number): MountDifferences {
  return compareMounts(readMounts(pid), readMounts("self"));
}

/** The same of two tables. */
export function compareMounts(theirs: readonly Mount[], ours: readonly Mount[]): MountDifferences {
  const without = (mounts: readonly Mount[], others: readonly Mount[]) => {
    const left = others.map(nameOf);
    return mounts.filter((mount) => {
      const index = left.indexOf(nameOf(mount));
      if (index >= 0) left.splice(index, 1);
      return index < 0;
    });
  };
  const extra = without(theirs, ours);
  return { extra, missing: without(ours, theirs), propagation: propagationOf(theirs, ours) };
}

function nameOf({ device, root, at, type, options }: Mount): string {
  return `${device} ${root} ${at} ${type} ${options}`;
}

function propagationOf(theirs: readonly Mount[], ours: readonly Mount[]): MountDifferences["propagation"] {
  const tags = theirs.flatMap((mount) => mount.tags);
  if (tags.length === 0) return "private";
  const known = (mounts: readonly Mount[]) => mounts.flatMap((mount) => mount.tags).sort();
  if (known(theirs).join() === known(ours).join()) return "unchanged";
  const peers = new Set(ours.flatMap((mount) => mount.tags).map((tag) => tag.split(":")[1]));
  const isSlave = tags.every((tag) => tag.startsWith("master:") && peers.has(tag.split(":")[1]));
  return isSlave ? "slave" : null;
}

/** As unshare(1) and bwrap(1) mount a /proc of their own. */
function isOwnProc({ at, type, root, options }: Mount): boolean {
  return at === "/proc" && type === "proc" && root === "/" && options === PROC_OPTIONS;
}

/** Whether its mounts are ours, but for a /proc on top of them that shows the processes that it makes. */
export function isOursWithProc(pid: number): boolean {
  const { extra, missing, propagation } = mountDifferences(pid);
  const [proc, ...more] = extra;
  if (missing.length > 0 || more.length > 0 || propagation === null) return false;
  return proc === undefined || (isOwnProc(proc) && shownByProc(pid) === childrenNamespace(pid));
}

/** The pid namespace whose processes the /proc of a process shows; null when that cannot be told. */
export function shownByProc(pid: number, at = "/proc"): string | null {
  return linkOf(`/proc/${pid}/root${at}/1/ns/pid`);
}

/** The namespace of the children that a process makes; null where it has made none of theirs yet. */
export function childrenNamespace(pid: number): string | null {
  return linkOf(`/proc/${pid}/ns/pid_for_children`);
}

/** Whether a process may not change its groups in its user namespace any more (user_namespaces(7)). */
export function groupsAreFixed(pid: number): boolean {
  return readFileSync(`/proc/${pid}/setgroups`, "latin1").trim() === "deny";
}

function linkOf(path: string): string | null {
  try {
    return readlinkSync(path);
  } catch {
    return null;
  }
}
