/** What the threads of a process should have in common and the kernel lets each have for itself. */
import { readFileSync } from "node:fs";
import { isErrno } from "../errors.js";
import { tryOwnCall } from "./own-call.js";
import { threadsOf } from "./tasks.js";

/** linux/kcmp.h */
const KCMP_FILES = 2;
const KCMP_FS = 3;
const CREDENTIALS = /^(?:Uid|Gid|Groups|NoNewPrivs|Cap\w+):.*$/gm;

/** A thread that has a descriptor table, a working folder and umask, or credentials that are not the main one's. */
export interface ThreadDifference {
  readonly tid: number;
  readonly what: "descriptors" | "folder" | "credentials";
}

/** All of them; nothing about a thread that has ended meanwhile. kcmp(2), unshare(2), proc_pid_status(5). */
export function threadDifferences(pid: number): ThreadDifference[] {
  const others = threadsOf(pid).filter((tid) => tid !== pid);
  if (others.length === 0) return [];
  const own = credentialsOf(pid, pid);
  return others.flatMap((tid): ThreadDifference[] => {
    const theirs = credentialsOf(pid, tid);
    return [
      ...(differ(pid, tid, KCMP_FILES) ? [{ tid, what: "descriptors" } as const] : []),
      ...(differ(pid, tid, KCMP_FS) ? [{ tid, what: "folder" } as const] : []),
      ...(theirs !== "" && theirs !== own ? [{ tid, what: "credentials" } as const] : []),
    ];
  });
}

function differ(pid: number, tid: number, kind: number): boolean {
  return tryOwnCall("kcmp", pid, tid, kind, 0, 0) > 0;
}

function credentialsOf(pid: number, tid: number): string {
  try {
    const text = readFileSync(`/proc/${pid}/task/${tid}/status`, "latin1");
    return (text.match(CREDENTIALS) ?? []).join("\n");
  } catch (error) {
    if (isErrno(error, "ENOENT", "ESRCH")) return "";
    throw error;
  }
}
