/** Which CPU a process runs on, for those who show it or place it; where it may run is in its status. */
import { readText } from "./sysfs.js";

/** Index of field 39, `processor`, behind the name in brackets (proc_pid_stat(5)). */
const PROCESSOR = 36;

/** The CPU a process runs on or ran on last; undefined when there is no such process. */
export function lastCpu(pid: number): number | undefined {
  const text = readText(`/proc/${pid}/stat`);
  const field = text?.slice(text.lastIndexOf(")") + 2).split(" ")[PROCESSOR];
  return field === undefined ? undefined : Number(field);
}
