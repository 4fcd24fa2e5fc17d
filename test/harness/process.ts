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

/** It may have been reaped since it was seen. */
function killIfThere(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
  }
}

/** Kills this very process with SIGKILL and waits until its pid is free. */
export async function killHard(identity: Identity): Promise<void> {
  // Others may go on where the main thread is a zombie.
  if (statOf(identity.pid)?.startTicks === identity.startTicks) killIfThere(identity.pid);
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
  return linkOf(pid, "exe");
}

function linkOf(pid: number, name: string): string {
  try {
    return readlinkSync(`/proc/${pid}/${name}`);
  } catch {
    return "";
  }
}

/** A living process and its command line. */
export interface Found {
  readonly pid: number;
  readonly command: string;
}

/** Living processes whose environment holds the text. */
export function findByEnvironment(text: string): Found[] {
  return find((pid) => readProc(pid, "environ")?.includes(text) ?? false);
}

/**
 * Living processes of the scene with this folder: it is in their environment or, where servers have written their titles
 * over that, they work in it.
 */
export function findOfScene(folder: string): Found[] {
  const mark = `RECORE_SCENE=${folder}`;
  return find((pid) => readProc(pid, "environ")?.includes(mark) || linkOf(pid, "cwd").startsWith(folder));
}

function find(isMeant: (pid: number) => boolean): Found[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((pid) => isMeant(pid) && !"ZX".includes(statOf(pid)?.state ?? "X"))
    .map((pid) => ({ pid, command: (readProc(pid, "cmdline") ?? "").replaceAll("\0", " ").trim() }));
}

function readProc(pid: number, file: string): string | null {
  try {
    return readFileSync(`/proc/${pid}/${file}`, "latin1");
  } catch {
    return null;
  }
}
