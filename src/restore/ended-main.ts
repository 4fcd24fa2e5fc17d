/**
 * A main thread that had ended before the others (pthread_exit in main): the newborn's is needed to make them, and then
 * ends as the recorded one had. Until it does it takes no signal and leaves no mark in the program's memory.
 */
import type { ProcessState } from "../state/process.js";
import { type RegisterName, withRegisters } from "../state/registers.js";
import type { ThreadState } from "../state/thread.js";

const ALL_SIGNALS = (1n << 64n) - 1n;
const SS_DISABLE = 2;
const NO_CALL = (1n << 64n) - 1n;
const SYS_EXIT = 60n;
/** The exit status in what wait(2) tells: of a thread that called exit(2). */
const STATUS_SHIFT = 8;

type Process = Pick<ProcessState, "process">;

/** Whether it is only a zombie, and none of the recorded threads. */
export function hasEndedMain({ process }: Process): boolean {
  return process.mainEnded !== undefined;
}

/** A main thread that is like another one where /proc still shows it, and has nothing registered with the kernel. */
export function endedMain({ process }: Process, like: ThreadState): ThreadState {
  return {
    ...like,
    tid: process.pid,
    comm: process.comm,
    sigmask: ALL_SIGNALS,
    pending: [],
    altStack: { sp: 0n, flags: SS_DISABLE, sizeBytes: 0n },
    robustList: { head: 0n, lengthBytes: 0n },
    clearChildTid: 0n,
    rseq: null,
    affinity: [],
  };
}

/** Registers with which it calls exit(2), at a `syscall` instruction, with the recorded status. */
export function endingAt(syscallAt: bigint, { registers }: ThreadState, { process }: Process): Buffer {
  const status = BigInt((process.mainEnded ?? 0) >> STATUS_SHIFT);
  const call: Partial<Record<RegisterName, bigint>> = { rax: SYS_EXIT, rdi: status, rip: syscallAt };
  return withRegisters(registers, { ...call, orig_rax: NO_CALL });
}
