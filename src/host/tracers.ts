/** Which processes trace others: asked of the traced, because a tracer's own /proc does not tell. */
import { readdirSync } from "node:fs";
import { processStatus, statusLine } from "./process-status.js";

export interface Traced {
  readonly pid: number;
  readonly comm: string;
  /** Of `pids`: the process that traces it, whichever thread of it does. */
  readonly tracer: number;
}

/** Every process that one of `pids` traces (the TracerPid of proc_pid_status(5), which may be a thread). */
export function tracersAmong(pids: readonly number[]): readonly Traced[] {
  const tracers = new Map(pids.map((pid) => [String(pid), pid]));
  for (const pid of pids) for (const tid of threads(pid)) tracers.set(tid, pid);
  return readdirSync("/proc").flatMap((name) => {
    if (!/^\d+$/.test(name)) return [];
    const tracer = tracers.get(statusLine(Number(name), "TracerPid") ?? "0");
    if (tracer === undefined) return [];
    return [{ pid: Number(name), comm: processStatus(Number(name))?.comm ?? "?", tracer }];
  });
}

/** None of a process that has ended. */
function threads(pid: number): readonly string[] {
  try {
    return readdirSync(`/proc/${pid}/task`);
  } catch {
    return [];
  }
}
