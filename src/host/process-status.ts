/**
 * Who a live process is, as /proc tells any user: name, state, start time, ids. The pid and the start time
 * together name a process for as long as the machine is up. Leaves everything inside it to the tracee side.
 */
import { readText } from "./sysfs.js";

/** From /proc/PID/stat (proc_pid_stat(5)). */
export interface ProcessStatus {
  readonly pid: number;
  readonly comm: string;
  /** One letter: R, S, D, T (stopped), t (traced), Z (zombie), X (dead), I (idle kernel thread). */
  readonly state: string;
  readonly ppid: number;
  readonly pgid: number;
  readonly sid: number;
  /** Clock ticks since boot. */
  readonly startTicks: bigint;
}

/** A process by pid and start time, which no later process shares. */
export interface ProcessIdentity {
  readonly pid: number;
  readonly startTicks: bigint;
}

/** Behind the name, up to the start time: whoever looks for a pid reads those of all processes. */
const FIELDS = 20;

/** Reads the status of a process or thread; undefined when there is none with this id. */
export function processStatus(pid: number): ProcessStatus | undefined {
  const text = readText(`/proc/${pid}/stat`);
  if (text === undefined) return undefined;
  // The name stands in brackets and may hold brackets and blanks itself: the last `)` ends it.
  const end = text.lastIndexOf(")");
  const fields = text.slice(end + 2).split(" ", FIELDS);
  return {
    pid,
    comm: text.slice(text.indexOf("(") + 1, end),
    state: fields[0] ?? "?",
    ppid: Number(fields[1]),
    pgid: Number(fields[2]),
    sid: Number(fields[3]),
    startTicks: BigInt(fields[19] ?? 0),
  };
}

/** True while this very process runs; a zombie has ended. */
export function isAlive(identity: ProcessIdentity): boolean {
  const status = processStatus(identity.pid);
  return status !== undefined && status.startTicks === identity.startTicks && !/[ZXx]/.test(status.state);
}

/** The identity of the calling process. */
export function ownIdentity(): ProcessIdentity {
  return { pid: process.pid, startTicks: processStatus(process.pid)?.startTicks ?? 0n };
}

/** The value of one `Name:` line of /proc/PID/status (proc_pid_status(5)), blanks trimmed. */
export function statusLine(pid: number | "self", name: string): string | undefined {
  const text = readText(`/proc/${pid}/status`);
  const line = text?.split("\n").find((candidate) => candidate.startsWith(`${name}:`));
  return line?.slice(name.length + 1).trim();
}
