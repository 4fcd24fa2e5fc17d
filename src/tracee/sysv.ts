/** System V semaphores and queues of the IPC namespace that we are in (proc_sysvipc(5)). */
import { readFileSync } from "node:fs";
import { isErrno } from "../errors.js";

/** Their ids; none where the kernel has no such objects. */
export function ipcObjects(kind: "sem" | "msg"): number[] {
  try {
    return parseIpcObjects(readFileSync(`/proc/sysvipc/${kind}`, "latin1"));
  } catch (error) {
    if (isErrno(error, "ENOENT")) return [];
    throw error;
  }
}

/** A line of headings, then key and id first in each. */
export function parseIpcObjects(text: string): number[] {
  const lines = text.split("\n").slice(1).filter(Boolean);
  return lines.map((line) => Number(line.trim().split(/\s+/)[1]));
}
