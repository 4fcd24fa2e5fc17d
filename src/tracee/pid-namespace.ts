/**
 * Processes of a pid namespace below ours: the ids they have inside, and the way back to those that we see
 * (pid_namespaces(7); NSpid of proc_pid_status(5) lists the ids from our namespace inwards).
 */
import { readdirSync, readlinkSync } from "node:fs";
import { isErrno } from "../errors.js";
import { readStatus } from "./proc-status.js";

/** The ids of a process, or of one of its threads, from ours inwards; the last one is what itself sees. */
export function idsInwards(pid: number, tid: number = pid): number[] {
  const status = readStatus(pid, tid);
  return (status.get("NSpid") ?? String(tid)).split(/\s+/).map(Number);
}

/** What the process calls itself: its pid in the innermost namespace. */
export function innerPid(pid: number, tid: number = pid): number {
  return idsInwards(pid, tid).at(-1) ?? tid;
}

/** Process group and session as the process sees them; 0 for one that lives outside its namespace. */
export function innerGroups(status: ReadonlyMap<string, string>): { pgid: number; sid: number } {
  const last = (name: string) => Number((status.get(name) ?? "0").split(/\s+/).at(-1));
  return { pgid: last("NSpgid"), sid: last("NSsid") };
}

/** Our pid of the process that is `inner` in the namespace of `member`; null when there is none. */
export function outerPid(member: number, inner: number): number | null {
  const namespace = namespaceOf(member);
  const pids = readdirSync("/proc").filter((name) => /^\d+$/.test(name));
  return (
    pids
      .map(Number)
      .find((pid) => namespace !== null && namespaceOf(pid) === namespace && hasInnerPid(pid, inner)) ?? null
  );
}

/** Our pids of those that are `inners` in the namespace of `member`, as far as they live, in that order. */
export function outerPids(member: number, inners: readonly number[]): number[] {
  const namespace = namespaceOf(member);
  const byInner = new Map<number, number>();
  for (const pid of readdirSync("/proc").map(Number)) {
    if (!Number.isInteger(pid) || namespace === null || namespaceOf(pid) !== namespace) continue;
    byInner.set(unlessGone(() => innerPid(pid)) ?? pid, pid);
  }
  return inners.flatMap((inner) => byInner.get(inner) ?? []);
}

function namespaceOf(pid: number): string | null {
  return unlessGone(() => readlinkSync(`/proc/${pid}/ns/pid`));
}

function hasInnerPid(pid: number, inner: number): boolean {
  return unlessGone(() => innerPid(pid)) === inner;
}

/** Processes of others are none of ours. */
function unlessGone<T>(look: () => T): T | null {
  try {
    return look();
  } catch (error) {
    if (isErrno(error, "ENOENT", "ESRCH", "EACCES", "EPERM")) return null;
    throw error;
  }
}
