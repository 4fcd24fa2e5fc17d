/**
 * A restored program as our child, after it was let go: waiting for it, signals, and the terminal's foreground.
 */
import { sendSignal } from "./kill.js";
import { call, callInPool } from "./native.js";
import { decodeStatus, type Stop } from "./stop.js";

/** What became of a child: it ended, or job control stopped or continued it. */
export type ChildEvent = Extract<Stop, { kind: "exited" | "signaled" | "stopped" | "continued" }>;

/** Waits on a pool thread for the next event of a child of ours; does not block Node's loop. */
export async function waitChild(pid: number): Promise<ChildEvent> {
  const stop = decodeStatus(await callInPool("cr_wait_child", pid));
  if (stop.kind === "event" || stop.kind === "syscall")
    throw new RangeError(`unexpected stop of child ${pid}`);
  return stop;
}

/** Sends a signal to a child that was not reaped yet, so that its pid cannot be somebody else's. */
export function signalChild(pid: number, signal: number): void {
  sendSignal(pid, signal);
}

/** The process group in the foreground of the terminal behind a descriptor (tcgetpgrp(3)). */
export function foregroundGroup(ttyFd: number): number {
  return call("cr_terminal_group", ttyFd, 0);
}

/** Puts a process group in the foreground of a terminal, from the background too (tcsetpgrp(3)). */
export function setForegroundGroup(ttyFd: number, pgid: number): void {
  call("cr_terminal_group", ttyFd, pgid);
}
