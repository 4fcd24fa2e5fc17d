/** A stopped thread's registers, mask and kernel-side registrations: struct cr_thread, read and written. */
import { REGISTERS_BYTES } from "../state/registers.js";
import type { ThreadState } from "../state/thread.js";
import { call } from "./native.js";

/** Layout of struct cr_thread and struct cr_sched (native/cr.h); test/tracee/layouts.test.ts compares them. */
export const THREAD_LAYOUT = {
  bytes: 17168,
  fpregs: 216,
  fpregsBytes: 512,
  xstate: 728,
  xstateLength: 17112,
  sigmask: 17120,
  rseqAddress: 17128,
  rseqSize: 17136,
  robustHead: 17152,
} as const;
export const SCHED_LAYOUT = {
  bytes: 1080,
  flags: 8,
  priority: 16,
  runtime: 24,
  affinityLength: 48,
  affinity: 56,
} as const;
const SIGINFO_BYTES = 128;
/** Signals that there is room for at first; mostly none are queued. */
const PENDING_ROOM = 64;

/** Filled by one native call and copied from at once: memory of one's own for each would cost the stop more than the call. */
const rawThread = Buffer.alloc(THREAD_LAYOUT.bytes);
const rawSched = Buffer.alloc(SCHED_LAYOUT.bytes);
const rawPending = Buffer.alloc(PENDING_ROOM * SIGINFO_BYTES);

export type ThreadRegisters = Pick<
  ThreadState,
  "registers" | "fpregs" | "xstate" | "sigmask" | "robustList" | "rseq"
>;

/** Reads all ptrace knows of a stopped thread, in one native call. */
export function readThread(tid: number): ThreadRegisters {
  const raw = rawThread;
  call("cr_get_thread", tid, raw, raw.length);
  const { fpregs, fpregsBytes, xstate, xstateLength, sigmask, rseqAddress, rseqSize, robustHead } =
    THREAD_LAYOUT;
  const rseq = {
    address: raw.readBigUInt64LE(rseqAddress),
    sizeBytes: raw.readUInt32LE(rseqSize),
    signature: raw.readUInt32LE(rseqSize + 4),
    flags: raw.readUInt32LE(rseqSize + 8),
  };
  return {
    registers: Buffer.from(raw.subarray(0, REGISTERS_BYTES)),
    fpregs: Buffer.from(raw.subarray(fpregs, fpregs + fpregsBytes)),
    xstate: Buffer.from(raw.subarray(xstate, xstate + Number(raw.readBigUInt64LE(xstateLength)))),
    sigmask: raw.readBigUInt64LE(sigmask),
    robustList: {
      head: raw.readBigUInt64LE(robustHead),
      lengthBytes: raw.readBigUInt64LE(robustHead + 8),
    },
    rseq: rseq.address === 0n ? null : rseq,
  };
}

/** Sets vector state, mask and general registers of a stopped thread. */
export function writeThread(
  tid: number,
  thread: Pick<ThreadState, "registers" | "fpregs" | "xstate" | "sigmask">,
): void {
  const raw = Buffer.alloc(THREAD_LAYOUT.bytes);
  thread.registers.copy(raw, 0);
  thread.fpregs.copy(raw, THREAD_LAYOUT.fpregs);
  thread.xstate.copy(raw, THREAD_LAYOUT.xstate);
  raw.writeBigUInt64LE(BigInt(thread.xstate.length), THREAD_LAYOUT.xstateLength);
  raw.writeBigUInt64LE(thread.sigmask, THREAD_LAYOUT.sigmask);
  call("cr_set_thread", tid, raw, raw.length);
}

/** Signals queued to the thread, or to the whole process: siginfo_t of 128 bytes each, in order. */
export function readPending(tid: number, queue: "thread" | "process"): Buffer[] {
  for (let room = PENDING_ROOM; ; room *= 8) {
    const raw = room === PENDING_ROOM ? rawPending : Buffer.alloc(room * SIGINFO_BYTES);
    const count = call("cr_peek", tid, queue === "process" ? 1 : 0, raw, raw.length);
    // A full buffer may not be all of them.
    if (count === room) continue;
    return Array.from({ length: count }, (_, index) =>
      Buffer.from(raw.subarray(index * SIGINFO_BYTES, (index + 1) * SIGINFO_BYTES)),
    );
  }
}

/** Scheduling policy, nice value, I/O priority and affinity of a thread; timer slack comes from elsewhere. */
export function readScheduling(
  tid: number,
): Omit<ThreadState["scheduling"], "timerSlackNs"> & { affinity: number[] } {
  const raw = rawSched;
  call("cr_get_sched", tid, raw, raw.length);
  const length = Number(raw.readBigUInt64LE(SCHED_LAYOUT.affinityLength));
  const mask = raw.subarray(SCHED_LAYOUT.affinity, SCHED_LAYOUT.affinity + length);
  return {
    policy: raw.readUInt32LE(0),
    nice: raw.readInt32LE(4),
    flags: raw.readBigUInt64LE(SCHED_LAYOUT.flags),
    priority: raw.readUInt32LE(SCHED_LAYOUT.priority),
    ioprio: raw.readInt32LE(SCHED_LAYOUT.priority + 4),
    runtimeNs: raw.readBigUInt64LE(SCHED_LAYOUT.runtime),
    deadlineNs: raw.readBigUInt64LE(SCHED_LAYOUT.runtime + 8),
    periodNs: raw.readBigUInt64LE(SCHED_LAYOUT.runtime + 16),
    affinity: cpusOf(mask),
  };
}

/** CPUs of an affinity mask (bit N of byte N/8). */
export function cpusOf(mask: Buffer): number[] {
  const cpus: number[] = [];
  mask.forEach((byte, index) => {
    for (let bit = 0; bit < 8; bit += 1) if ((byte >> bit) & 1) cpus.push(index * 8 + bit);
  });
  return cpus;
}

/** Affinity mask of CPUs, a multiple of 8 bytes long. */
export function maskOf(cpus: readonly number[]): Buffer {
  const highest = cpus.reduce((max, cpu) => Math.max(max, cpu), 0);
  const mask = Buffer.alloc((Math.floor(highest / 64) + 1) * 8);
  for (const cpu of cpus) mask.writeUInt8(mask.readUInt8(cpu >> 3) | (1 << (cpu & 7)), cpu >> 3);
  return mask;
}
