/**
 * A copy of a stopped process at this instant that never runs: its private memory, shared until written (fork(2)).
 * It is nobody's child in the target: a thread of ours makes a task that shares the memory, that makes the copy, ends
 * and is reaped by the thread, which ends too; init, or a subreaper further up, is the parent of what is left. All of
 * it happens in one stop. The copy dies with cr (PTRACE_O_EXITKILL: it is a process of ours), and has no descriptors.
 */
import {
  awaitBirth,
  endTask,
  type Helper,
  helperOf,
  type Workplace,
  withHelperThread,
} from "./helper-thread.js";
import { sendSignal } from "./kill.js";
import { reap } from "./reap.js";
import type { ThreadRegisters } from "./thread.js";

const CLONE_VM = 0x100;
const PTRACE_O_TRACECLONE = 1 << 3;
const PTRACE_O_EXITKILL = 1 << 20;
/** Where nothing is: a copy that nobody holds dies of its first instruction. */
const POISON = 8;
const ALL = 0xffff_ffff;
const SIGKILL = 9;
const KILL_WAIT_MS = 60_000;

export class FrozenCopy {
  readonly pid: number;

  private constructor(pid: number) {
    this.pid = pid;
  }

  /**
   * Makes it. `main` is what the stopped main thread has. Null where the kernel makes no process (a limit, no
   * memory). Throws `NativeError`, `RemoteInterrupted`.
   */
  static make(work: Workplace, main: Pick<ThreadRegisters, "registers" | "sigmask">): FrozenCopy | null {
    const pid = withHelperThread(work, main, (thread) => {
      // So that the copy keeps no pipe open of which somebody awaits the end.
      thread.run([{ name: "close_range", args: [0, ALL, 0] }]);
      return withTask(work, thread, (task) => born(task, 0, PTRACE_O_TRACECLONE | PTRACE_O_EXITKILL));
    });
    return pid === null ? null : new FrozenCopy(pid);
  }

  /** Kills it and waits for its end. */
  [Symbol.dispose](): void {
    sendSignal(this.pid, SIGKILL);
    reap([this.pid], KILL_WAIT_MS);
  }
}

/** A process that shares the memory with the target, made by the thread, which reaps it when it goes home itself. */
function withTask(work: Workplace, thread: Helper, act: (task: Helper) => number | null): number | null {
  const args = [CLONE_VM, thread.home.ending, 0, 0, 0];
  const [made = -1n] = thread.run([{ name: "clone", args }], PTRACE_O_TRACECLONE);
  if (made < 0n) return null;
  const tid = Number(made);
  awaitBirth(tid);
  try {
    return act(helperOf(work, tid, thread.home));
  } finally {
    endTask(tid);
  }
}

function born(task: Helper, flags: number, options: number): number | null {
  const [made = -1n] = task.run([{ name: "clone", args: [flags, POISON, 0, 0, 0] }], options);
  if (made < 0n) return null;
  awaitBirth(Number(made));
  return Number(made);
}
