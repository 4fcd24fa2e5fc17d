/** The threads of a process as /proc/PID/task lists them. */
import { readdirSync, readFileSync } from "node:fs";
import { isErrno } from "../errors.js";

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

/** A thread's name. */
export function threadName(pid: number, tid: number): string {
  const text = readFileSync(`/proc/${pid}/task/${tid}/comm`, "latin1");
  return text.endsWith("\n") ? text.slice(0, -1) : text;
}
