/** Threads of a core that another tool wrote: registers and masks as they are, the rest as a new thread has it. */
import { PAGE_BYTES } from "../state/address.js";
import { getRegister } from "../state/registers.js";
import type { ThreadState } from "../state/thread.js";
import { badCore } from "./byte-source.js";
import type { ReadMemory } from "./core-memory.js";
import type { LibcVariable } from "./mapped-objects.js";
import { FPREGSET_BYTES, type NotedThread, type StandardNotes } from "./standard-notes.js";

/** What glibc 2.35 and later register with rseq(2) for every thread (sysdeps/unix/sysv/linux/rseq-internal.h). */
const RSEQ = { sizeBytes: 32, signature: 0x53053053 };

const SS_DISABLE = 2;

export interface ThreadSources {
  readonly standard: StandardNotes;
  readonly memory: ReadMemory;
  readonly variable: (name: LibcVariable) => bigint | null;
}

/** All threads, first thread first. */
export function foreignThreads({ standard, memory, variable }: ThreadSources, path: string): ThreadState[] {
  const { info } = standard;
  return standard.threads.map((thread) => ({
    tid: thread.status.tid > 0 ? thread.status.tid : refuse(path),
    comm: info?.comm ?? "",
    sigmask: thread.status.sighold,
    pending: [],
    altStack: { sp: 0n, flags: SS_DISABLE, sizeBytes: 0n },
    robustList: { head: 0n, lengthBytes: 0n },
    clearChildTid: 0n,
    rseq: rseqOf(thread, { memory, variable }),
    scheduling: {
      policy: 0,
      flags: 0n,
      nice: info?.nice ?? 0,
      priority: 0,
      runtimeNs: 0n,
      deadlineNs: 0n,
      periodNs: 0n,
      ioprio: 0,
      timerSlackNs: 50_000n,
    },
    affinity: [],
    registers: thread.status.registers,
    fpregs: fpregsOf(thread),
    xstate: thread.xstate,
  }));
}

function refuse(path: string): never {
  throw badCore(path, "a thread of it has no id");
}

/** The legacy part of the XSAVE area is what NT_FPREGSET holds; without either, as at the start of a program. */
function fpregsOf({ fpregs, xstate }: NotedThread): Buffer {
  if (fpregs.length === FPREGSET_BYTES) return fpregs;
  if (xstate.length >= FPREGSET_BYTES) return Buffer.from(xstate.subarray(0, FPREGSET_BYTES));
  const initial = Buffer.alloc(FPREGSET_BYTES);
  initial.writeUInt16LE(0x37f, 0);
  initial.writeUInt32LE(0x1f80, 24);
  return initial;
}

/**
 * `__rseq_size` is 0 where the program runs without rseq; a thread that did not register has cpu_id below zero
 * in its area (struct rseq of linux/rseq.h).
 */
function rseqOf(
  { status }: NotedThread,
  { memory, variable }: Pick<ThreadSources, "memory" | "variable">,
): ThreadState["rseq"] {
  const offset = variable("__rseq_offset");
  const size = variable("__rseq_size");
  if (offset === null || size === null || (size & 0xffff_ffffn) === 0n) return null;
  const fsBase = getRegister(status.registers, "fs_base");
  const address = BigInt.asUintN(64, fsBase + offset);
  const area = memory(address, RSEQ.sizeBytes);
  if (area === null || address % BigInt(RSEQ.sizeBytes) !== 0n || area.readInt32LE(4) < 0) return null;
  if (address < BigInt(PAGE_BYTES)) return null;
  return { address, ...RSEQ, flags: 0 };
}
