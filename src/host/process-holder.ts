/**
 * Who holds a pid that a restore wants. A number stays taken while anything uses it: a process, one thread of
 * it, a process group or a session (struct pid, kernel/pid.c), even when the process of that number is gone.
 */
import { readdirSync } from "node:fs";
import { type ProcessStatus, processStatus, statusLine } from "./process-status.js";
import { readText } from "./sysfs.js";
import { userName } from "./user.js";

export interface PidHolder {
  /** The process that holds the number: itself, or the one whose thread, group or session has it. */
  readonly pid: number;
  readonly as: "process" | "thread" | "group" | "session";
  readonly comm: string;
  /** Arguments with blanks between; empty for kernel threads and zombies. */
  readonly commandLine: string;
  readonly user: string;
  /** State letter of proc_pid_stat(5); `Z` is a zombie that its parent has not waited for. */
  readonly state: string;
  readonly ppid: number;
}

/** The holder of `pid`; undefined when the number is free (or /proc hides its holder). */
export function whoHolds(pid: number): PidHolder | undefined {
  const direct = processStatus(pid);
  if (direct !== undefined) {
    // /proc/TID opens although it is not listed; Tgid names the process.
    const leader = Number(statusLine(pid, "Tgid") ?? pid);
    const holder = leader === pid ? direct : (processStatus(leader) ?? direct);
    return describe(holder, leader === pid ? "process" : "thread");
  }
  for (const entry of readdirSync("/proc")) {
    const status = /^\d+$/.test(entry) ? processStatus(Number(entry)) : undefined;
    if (status?.sid === pid) return describe(status, "session");
    if (status?.pgid === pid) return describe(status, "group");
  }
  return undefined;
}

/** A phrase for messages: `process 812 (sleep 100) of root`. */
export function describeHolder(holder: PidHolder): string {
  // One line, whatever the program calls itself.
  const what = (holder.commandLine || holder.comm).replace(/[\s\p{Cc}]+/gu, " ");
  const shown = what.length > 60 ? `${what.slice(0, 59)}…` : what;
  const zombie = holder.state === "Z" ? `, a zombie that its parent ${holder.ppid} has not reaped` : "";
  const prefix = holder.as === "process" ? "" : `a ${holder.as} of `;
  return `${prefix}process ${holder.pid} (${shown}) of ${holder.user}${zombie}`;
}

function describe(status: ProcessStatus, as: PidHolder["as"]): PidHolder {
  const commandLine = (readText(`/proc/${status.pid}/cmdline`) ?? "").split("\0").join(" ").trim();
  const uid = Number((statusLine(status.pid, "Uid") ?? "0").split(/\s+/)[1]);
  const { pid, comm, state, ppid } = status;
  return { pid, as, comm, commandLine, user: userName(uid), state, ppid };
}
