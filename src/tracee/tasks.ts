/** The threads of a process as /proc/PID/task lists them. */
import { readdirSync, readFileSync } from "node:fs";
import { isErrno } from "../errors.js";
import { readStat } from "./proc-status.js";

/** Thread ids, ascending; empty when the process is gone. */
export function threadsOf(pid: number): number[] {
  try {
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

/** A thread's name. */
export function threadName(pid: number, tid: number): string {
  const text = readFileSync(`/proc/${pid}/task/${tid}/comm`, "latin1");
  return text.endsWith("\n") ? text.slice(0, -1) : text;
}
