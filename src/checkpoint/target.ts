/** Is this a process that can be checkpointed at all? Looked at before it is touched, each "no" with its code. */
import { CrError, isErrno } from "../errors.js";
import { explainTraceDenied } from "../host/ptrace-scope.js";
import { timeOfChildrenDiffers } from "../tracee/clocks.js";
import { canGraspByThread } from "../tracee/grasp.js";
import { isNativeError } from "../tracee/native-error.js";
import { readStat, readStatus } from "../tracee/proc-status.js";
import { elfClass, type ProcessFacts } from "../tracee/process-facts.js";
import { mainThreadHasEnded, speakerOf } from "../tracee/tasks.js";
import { isSameFile } from "./by-name.js";
import { refusedSeccomp } from "./filters.js";
import { refusedTimers } from "./posix-timers.js";
import type { Refusal } from "./refusal.js";
import { refusedNamespaces } from "./refused-spaces.js";

/** PF_KTHREAD of linux/sched.h. */
const PF_KTHREAD = 0x0020_0000;
/** PF_MEMALLOC_NOIO and PF_LOCAL_THROTTLE: what PR_SET_IO_FLUSHER sets of a thread, and what its threads inherit. */
const PF_IO_FLUSHER = 0x0018_0000;

/** Refuses what is no ordinary, running, 64-bit program of which we may be the tracer. */
export function checkTarget(pid: number): void {
  if (pid === process.pid) {
    throw unsupported(pid, "it is cr itself", "give the pid of the program to save");
  }
  const stat = attempt(pid, () => readStat(pid));
  if (stat.flags & PF_KTHREAD) {
    throw unsupported(
      pid,
      `${stat.comm} is a thread of the kernel`,
      "only programs can be saved; ps shows kernel threads in brackets",
    );
  }
  if (mainThreadHasEnded(pid)) throw mainThreadEnded(pid);
  if (stat.state === "Z" || stat.state === "X") {
    throw unsupported(
      pid,
      "it has ended and waits for its parent (zombie)",
      `its parent is process ${stat.ppid}`,
    );
  }
  const tracer = Number(attempt(pid, () => readStatus(pid)).get("TracerPid") ?? "0");
  if (tracer !== 0) throw alreadyTraced(pid, tracer);
  if (attempt(pid, () => elfClass(pid)) === 1) {
    throw unsupported(
      pid,
      "it is a 32-bit program, required is a 64-bit one",
      "use a 64-bit build of the program",
    );
  }
}

/**
 * The number under which a process can be looked at and stopped: that of another thread where the main one has ended.
 * Throws as `mainThreadEnded` where descriptors cannot be had through it (before Linux 6.9).
 */
export function reachable(pid: number): number {
  const speaker = attempt(pid, () => speakerOf(pid));
  if (speaker !== pid && !canGraspByThread(speaker)) throw mainThreadEnded(pid);
  return speaker;
}

/** The error for a member of a tree, or for one just now, whose threads have outlived its main thread. */
export function mainThreadEnded(pid: number): CrError {
  const why = "its main thread has ended while others go on (pthread_exit in main)";
  return unsupported(pid, why, "let main wait for its threads instead: pthread_join");
}

/** The error for a process under another tracer. */
export function alreadyTraced(pid: number, tracer: number): CrError {
  const who = tracer > 0 ? `process ${tracer} (${commOf(tracer)})` : "another process";
  return new CrError("ALREADY_TRACED", `cannot trace process ${pid}: ${who} traces it already`, {
    hint:
      tracer > 0 ? `let it go there first: detach or end process ${tracer}` : "end the other tracer first",
    data: { pid, tracer },
  });
}

/** What of the whole process, one of `pids`, this version does not carry; files and mappings are looked at elsewhere. */
export function refusedOfProcess(
  pid: number,
  facts: ProcessFacts,
  pids: readonly number[] = [pid],
): Refusal[] {
  const refusals: Refusal[] = [];
  const add = (kind: string, id: string, what: string) => refusals.push({ kind, id, what });
  const { status } = facts;
  refusals.push(...refusedSeccomp(facts.seccompMode));
  if (status.get("x86_Thread_features")?.includes("shstk")) {
    add("shadow-stack", "", "a user shadow stack (CET)");
  }
  if (/^0x(?!f{16}$)/.test(status.get("untag_mask") ?? "")) {
    add("setting", "", "tagged addresses (ARCH_ENABLE_TAGGED_ADDR)");
  }
  if ((facts.stat.flags & PF_IO_FLUSHER) === PF_IO_FLUSHER) {
    add("setting", "", "the role of an I/O flusher (PR_SET_IO_FLUSHER)");
  }
  if (timeOfChildrenDiffers(pid)) {
    add("namespace", "time", "another time namespace for its children than its own");
  }
  refusals.push(...refusedNamespaces(pid, facts, pids));
  refusals.push(...refusedTimers(facts.timers, facts.stat.threads));
  if (facts.exe.endsWith(" (deleted)")) add("exe", "", `a deleted executable (${facts.exe})`);
  const { path, ino } = facts.cwd;
  if (path.endsWith(" (deleted)")) add("cwd", "", `a deleted working folder (${path})`);
  else if (!isSameFile(pid, path, ino))
    add("cwd", "", `the working folder ${path}, which cr does not find by this name`);
  return refusals;
}

/** Runs a look at /proc and turns its errno into the user's words. */
export function attempt<T>(pid: number, look: () => T): T {
  try {
    return look();
  } catch (error) {
    throw lookFailed(pid, error);
  }
}

/** The error for a failed look at a process. */
export function lookFailed(pid: number, error: unknown): unknown {
  if (isErrno(error, "ENOENT", "ESRCH") || isNativeError(error, "ESRCH")) {
    return new CrError("NO_SUCH_PROCESS", `cannot look at process ${pid}: there is no such process`, {
      hint: `check the pid: ps -p ${pid}`,
      cause: error,
    });
  }
  if (isErrno(error, "EACCES", "EPERM") || isNativeError(error, "EPERM")) return notPermitted(pid, error);
  return error;
}

/** The error for a process that we may not trace, with the reason found on this host. */
export function notPermitted(pid: number, cause: unknown): CrError {
  return new CrError("NOT_PERMITTED", `cannot trace process ${pid}: the kernel does not permit it`, {
    hint: explainTraceDenied(pid),
    cause,
  });
}

function unsupported(pid: number, why: string, hint: string): CrError {
  return new CrError("UNSUPPORTED_PROCESS", `cannot checkpoint process ${pid}: ${why}`, { hint });
}

function commOf(pid: number): string {
  try {
    return readStat(pid).comm;
  } catch {
    return "ended meanwhile";
  }
}

/** A pid alone does not name a process: it may be another's by now. */
export function requireStart(pid: number, found: bigint, startTicks: bigint): void {
  if (found === startTicks) return;
  throw new CrError(
    "NO_SUCH_PROCESS",
    `cannot checkpoint process ${pid}: it ended and another process has its pid`,
    { hint: `look who has it now: ps -p ${pid}` },
  );
}
