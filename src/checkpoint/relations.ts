/** What stands between processes and cannot be made again: tracing (ptrace(2)), and dead children of other users. */
import { hasCapability } from "../host/capabilities.js";
import { statusLine } from "../host/process-status.js";
import { tracersAmong } from "../host/tracers.js";
import type { Relative } from "../tracee/kin.js";
import type { Refusal } from "./refusal.js";

/** Processes that trace others, in the tree or outside. Those that are traced are refused by themselves. */
export function refusedTracers(pids: readonly number[]): Refusal[] {
  return tracersAmong(pids).map(({ pid, comm, tracer }) => {
    return { pid: tracer, kind: "process", id: "trace", what: `it traces process ${pid} (${comm})` };
  });
}

/** Dead children of other users: the kernel tells their status only to those who could have traced them. */
export function refusedDead(relatives: readonly Relative[]): Refusal[] {
  if (hasCapability("CAP_SYS_PTRACE")) return [];
  return relatives.flatMap(({ pid, isDead, stat }) => {
    if (!isDead || isOwn(pid)) return [];
    return [{ pid, kind: "process", id: "dead", what: `a dead child of another user (${stat.comm})` }];
  });
}

function isOwn(pid: number): boolean {
  const is = (name: string, id: number) => {
    const ids = statusLine(pid, name)?.split(/\s+/).slice(0, 3) ?? [];
    return ids.every((one) => Number(one) === id);
  };
  return is("Uid", process.geteuid?.() ?? 0) && is("Gid", process.getegid?.() ?? 0);
}
