/** Seizes and stops a process without a signal, and mends what the stop itself did to a system call in progress. */
import { CrError } from "../errors.js";
import { withRegisters } from "../state/registers.js";
import { isNativeError } from "../tracee/native-error.js";
import { readStatus } from "../tracee/proc-status.js";
import { mainThreadHasEnded } from "../tracee/tasks.js";
import { readThread, type ThreadRegisters } from "../tracee/thread.js";
import { MainThreadEnded, Tracee, UnexpectedStop } from "../tracee/tracee.js";
import { endedByStop, expiredResult, type RestartLedger } from "./restarted-calls.js";
import { alreadyTraced, lookFailed, mainThreadEnded, notPermitted } from "./target.js";

/** Tells the kernel to restart the call unless a handler is to run first (include/linux/errno.h). */
const ERESTARTNOHAND = -514n;

/** Seizes `pid`. Throws NOT_PERMITTED, ALREADY_TRACED or NO_SUCH_PROCESS. */
export function seize(pid: number): Tracee {
  try {
    return Tracee.seize(pid);
  } catch (error) {
    if (!isNativeError(error, "EPERM", "ESRCH", "EIO")) throw error;
    throw seizeFailed(pid, error);
  }
}

/** The error for a process that could not be seized. */
export function seizeFailed(pid: number, error: unknown): unknown {
  if (mainThreadHasEnded(pid)) return mainThreadEnded(pid);
  let tracer = 0;
  try {
    tracer = Number(readStatus(pid).get("TracerPid") ?? "0");
  } catch (gone) {
    return lookFailed(pid, gone);
  }
  return tracer !== 0 ? alreadyTraced(pid, tracer) : notPermitted(pid, error);
}

export interface FreezeOptions {
  readonly timeoutMs: number;
  /** Calls restarted by earlier checkpoints of the same process. */
  readonly ledger: RestartLedger;
  /** Names the process in the ledger. */
  readonly key: string;
}

/** Calls in progress that will be restarted because the stop ended them. */
export interface RestartingCall {
  readonly tid: number;
  readonly registers: Buffer;
  readonly key: string;
  readonly nowMs: number;
}

/** The threads of a stopped process, the main one first. */
export interface Stopped {
  readonly threads: ReadonlyMap<number, ThreadRegisters>;
  readonly restarting: readonly RestartingCall[];
}

/**
 * Stops a seized process and reads its threads' registers. Throws FREEZE_TIMEOUT after `timeoutMs`, TARGET_CHANGED
 * when it ended. A process that job control had stopped stays stopped.
 */
export function freeze(tracee: Tracee, options: FreezeOptions): Stopped {
  try {
    tracee.stop(options.timeoutMs);
    const threads = new Map<number, ThreadRegisters>();
    const restarting: RestartingCall[] = [];
    for (const tid of tracee.tids) {
      const { thread, restarted } = mend(tracee, tid, options);
      threads.set(tid, thread);
      if (restarted !== null) restarting.push(restarted);
    }
    return { threads, restarting };
  } catch (error) {
    throw freezeFailed(tracee.pid, error, options.timeoutMs);
  }
}

/** Puts an EINTR that our own stop caused back to "restart", or to the end of a timeout that is over by now. */
function mend(
  tracee: Tracee,
  tid: number,
  { ledger, key: process }: FreezeOptions,
): { thread: ThreadRegisters; restarted: RestartingCall | null } {
  const thread = readThread(tid);
  const key = `${process}:${tid}`;
  // Job control ends such calls too: that EINTR is the program's own.
  if (tracee.stopSignal !== 0 || !endedByStop(thread.registers)) {
    ledger.delete(key);
    return { thread, restarted: null };
  }
  const call = { tid, registers: thread.registers, key, nowMs: performance.now() };
  const expired = expiredResult(tid, call, ledger);
  const registers = withRegisters(thread.registers, { rax: expired ?? ERESTARTNOHAND });
  tracee.setRegisters(tid, registers);
  return { thread: { ...thread, registers }, restarted: expired === null ? call : null };
}

/** The error for a process that could not be stopped. */
export function freezeFailed(pid: number, error: unknown, timeoutMs: number): unknown {
  if (isNativeError(error, "ETIMEDOUT")) {
    return new CrError(
      "FREEZE_TIMEOUT",
      `cannot stop process ${pid}: it did not stop within ${timeoutMs} ms`,
      {
        hint: `it sits in an uninterruptible wait (cat /proc/${pid}/wchan); try again later or with a longer --timeout`,
      },
    );
  }
  if (isNativeError(error, "ENOEXEC")) {
    return new CrError("UNSUPPORTED_PROCESS", `cannot checkpoint process ${pid}: it runs 32-bit code`, {
      hint: "use a 64-bit build of the program",
    });
  }
  if (error instanceof MainThreadEnded) return mainThreadEnded(pid);
  if (error instanceof UnexpectedStop || isNativeError(error, "ESRCH", "ECHILD")) return changed(pid, error);
  return error;
}

/** It called exec while it was copied. */
export class OtherProgram extends Error {}

/** The error for a process that went its own way while it was looked at. */
export function changed(pid: number, cause: unknown): CrError {
  const ended = isNativeError(cause, "ESRCH", "ECHILD");
  const how =
    cause instanceof UnexpectedStop
      ? describe(cause)
      : cause instanceof OtherProgram
        ? "it called exec"
        : ended
          ? "it ended"
          : "a signal came in between";
  return new CrError(
    "TARGET_CHANGED",
    `cannot checkpoint process ${pid}: ${how} while it was being stopped`,
    {
      hint: `look at it (ps -p ${pid}) and try again`,
      cause,
    },
  );
}

function describe({ stop }: UnexpectedStop): string {
  if (stop.kind === "exited") return `it exited with status ${stop.status}`;
  if (stop.kind === "signaled") return `it was killed by signal ${stop.signal}`;
  return "signal" in stop ? `signal ${stop.signal} stopped it` : "it was stopped otherwise";
}
