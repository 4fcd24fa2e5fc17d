/** A thread (tid): registers as the kernel's regsets give them, and what else the kernel keeps for it. */
import { credentialsSchema } from "./credentials.js";
import { bytes, flag, int, natural, positive, text, u64, z } from "./schema.js";

/** What of a thread stands in the note RECORE/THREADS; its regsets stand in the standard notes. */
export const threadNoteSchema = z.object({
  tid: positive,
  comm: text,
  /** Blocked signals, bit N-1 for signal N. */
  sigmask: u64,
  /** Signals queued to this thread alone: 128-byte siginfo_t each, in order. */
  pending: z.array(bytes),
  /** sigaltstack(2): flags SS_DISABLE=2 when there is none. */
  altStack: z.object({ sp: u64, flags: int, sizeBytes: u64 }),
  robustList: z.object({ head: u64, lengthBytes: u64 }),
  /** set_tid_address(2); 0x0 when none. */
  clearChildTid: u64,
  /** rseq(2) registration, null when none. */
  rseq: z.nullable(z.object({ address: u64, sizeBytes: int, signature: int, flags: int })),
  scheduling: z.object({
    /** sched_setattr(2): SCHED_OTHER is 0. */
    policy: int,
    flags: u64,
    nice: int,
    priority: int,
    runtimeNs: u64,
    deadlineNs: u64,
    periodNs: u64,
    ioprio: int,
    timerSlackNs: u64,
  }),
  /** Who the thread is, with its own securebits; left out in older cores: as the process is. */
  credentials: z.optional(credentialsSchema),
  /** What only this thread is set to (prctl(2)); left out in older cores. */
  settings: z.optional(
    z.object({
      noNewPrivs: flag,
      /** PR_GET_TSC: 1 reads, 2 traps. */
      tsc: int,
      /** PR_MCE_KILL_GET: 0 late, 1 early, 2 as the system does. */
      mceKill: int,
      /** PR_GET_SPECULATION_CTRL of store bypass, indirect branch, L1D flush, 0 as a new thread has them. */
      speculation: z.array(int),
      /** get_mempolicy(2): mode with its flags, and the mask of nodes. */
      memoryPolicy: z.object({ mode: int, nodes: bytes }),
    }),
  ),
  /** CPUs it may run on, ascending. */
  affinity: z.array(natural),
});
export type ThreadNote = z.infer<typeof threadNoteSchema>;

/** Note RECORE/THREADS: in the order of the standard notes. */
export const threadsSchema = z.array(threadNoteSchema);

/** A thread whole: the note and its regsets as bytes (layouts: registers.ts, xstate.ts). */
export interface ThreadState extends ThreadNote {
  /** user_regs_struct, 216 bytes (NT_PRSTATUS regset). */
  readonly registers: Buffer;
  /** user_fpregs_struct, 512 bytes (NT_FPREGSET). */
  readonly fpregs: Buffer;
  /** XSAVE area in standard format (NT_X86_XSTATE); empty when a core of others has none. */
  readonly xstate: Buffer;
}
