/** The threads of a process as /proc/PID/task lists them. */
import { readdirSync, statSync } from "node:fs";
import { isErrno } from "../errors.js";
import { readProcFile } from "./proc-file.js";
import { readStat, readStatus } from "./proc-status.js";

/** Links of a folder of one thread: `.`, `..` and its own (fs/proc/base.c). */
const LINKS_OF_ONE = 3;

/** Thread ids, ascending; empty when the process is gone. That there is only the main one is seen without a listing. */
export function threadsOf(pid: number): number[] {
  try {
    if (statSync(`/proc/${pid}/task`).nlink === LINKS_OF_ONE) return [pid];
    return readdirSync(`/proc/${pid}/task`)
      .map(Number)
      .sort((a, b) => a - b);
  } catch (error) {
    if (isErrno(error, "ENOENT", "ESRCH")) return [];
    throw error;
  }
}

/** True when the main thread is a zombie while others live (a call of pthread_exit in main, say). */
export function mainThreadHasEnded(pid: number): boolean {
  try {
    const { state, threads } = readStat(pid);
    return state === "Z" && threads > 1;
  } catch (error) {
    if (isErrno(error, "ENOENT", "ESRCH")) return false;
    throw error;
  }
}

/**
 * The thread through which all that threads have in common can be looked at: the main one mostly. Of one that has ended
 * /proc shows nothing but its name and its ids, so then it is the first that lives.
 */
export function speakerOf(pid: number): number {
  if (!mainThreadHasEnded(pid)) return pid;
  return threadsOf(pid).find((tid) => tid !== pid) ?? pid;
}

/** The main thread of the process that a thread belongs to. */
export function leaderOf(tid: number): number {
  return Number(readStatus(tid).get("Tgid") ?? tid);
}

/** A thread's name. */
export function threadName(pid: number, tid: number): string {
  const text = readProcFile(`/proc/${pid}/task/${tid}/comm`);
  return text.endsWith("\n") ? text.slice(0, -1) : text;
}
