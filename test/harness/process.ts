/**
 * Processes as a test sees them, by /proc. A process is named by pid and start time, so that a pid that was
 * given to another one, or to a restored one, is never taken for it. Zombies count as dead.
 */
import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import { eventually } from "./eventually.js";

export interface Identity {
  readonly pid: number;
  /** Start time in clock ticks since boot (proc_pid_stat(5)). */
  readonly startTicks: string;
}

interface Stat {
  readonly state: string;
  readonly startTicks: string;
}

/** State letter and start time; null when there is no such process. */
export function statOf(pid: number): Stat | null {
  const text = readProc(pid, "stat");
  if (text === null) return null;
  // The name may hold blanks and brackets: fields count from behind its last one.
  const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
  return { state: fields[0] ?? "?", startTicks: fields[19] ?? "?" };
}

export function identify(pid: number): Identity {
  const stat = statOf(pid);
  if (stat === null) throw new Error(`there is no process ${pid}`);
  return { pid, startTicks: stat.startTicks };
}

/** Whether this very process still runs (or is stopped): neither gone nor a zombie. */
export function isAlive({ pid, startTicks }: Identity): boolean {
  const stat = statOf(pid);
  return stat !== null && stat.startTicks === startTicks && !"ZX".includes(stat.state);
}

/** Kills this very process with SIGKILL and waits until its pid is free. */
export async function killHard(identity: Identity): Promise<void> {
  // Others may go on where the main thread is a zombie.
  if (statOf(identity.pid)?.startTicks === identity.startTicks) process.kill(identity.pid, "SIGKILL");
  await eventually(
    () => `process ${identity.pid} is gone (state ${statOf(identity.pid)?.state})`,
    () => statOf(identity.pid)?.startTicks !== identity.startTicks,
  );
}

/** A line of /proc/PID/status, without its name. */
export function statusLine(pid: number, name: string): string {
  const line = readProc(pid, "status")?.match(new RegExp(`^${name}:\\s*(.*)$`, "m"));
  return line?.[1] ?? "";
}

/** Runs, is traced by nobody and stopped by nobody: what a target must be after every checkpoint. */
export function runsFreely(identity: Identity): boolean {
  const state = statOf(identity.pid)?.state ?? "X";
  return isAlive(identity) && "RSD".includes(state) && statusLine(identity.pid, "TracerPid") === "0";
}

/** Link of /proc/PID/exe, empty when it cannot be read. */
export function exeOf(pid: number): string {
  try {
    return readlinkSync(`/proc/${pid}/exe`);
  } catch {
    return "";
  }
}

/** Living processes whose environment holds the text, as pid and command line. */
export function findByEnvironment(text: string): { readonly pid: number; readonly command: string }[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((pid) => readProc(pid, "environ")?.includes(text) && !"ZX".includes(statOf(pid)?.state ?? "X"))
    .map((pid) => ({ pid, command: (readProc(pid, "cmdline") ?? "").replaceAll("\0", " ").trim() }));
}

function readProc(pid: number, file: string): string | null {
  try {
    return readFileSync(`/proc/${pid}/${file}`, "latin1");
  } catch {
    return null;
  }
}
