/** What the threads of a process should have in common and the kernel lets each have for itself. */
import { tryOwnCall } from "./own-call.js";
import { mainThreadHasEnded, threadsOf } from "./tasks.js";

/** linux/kcmp.h */
const KCMP_FILES = 2;
const KCMP_FS = 3;

/** A thread that has a descriptor table, or a working folder and umask, that are not the main one's. */
export interface ThreadDifference {
  readonly tid: number;
  readonly what: "descriptors" | "folder";
}

/** All of them; nothing about a thread that has ended, as a main one may have. kcmp(2), unshare(2). */
export function threadDifferences(pid: number): ThreadDifference[] {
  const others = threadsOf(pid).filter((tid) => tid !== pid);
  return others.flatMap((tid): ThreadDifference[] => [
    ...(differ(pid, tid, KCMP_FILES) ? [{ tid, what: "descriptors" } as const] : []),
    ...(differ(pid, tid, KCMP_FS) ? [{ tid, what: "folder" } as const] : []),
  ]);
}

function differ(pid: number, tid: number, kind: number): boolean {
  return tryOwnCall("kcmp", pid, tid, kind, 0, 0) > 0 && !mainThreadHasEnded(tid);
}
