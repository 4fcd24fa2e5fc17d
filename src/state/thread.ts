/** A thread (tid): registers as the kernel's regsets give them, and what else the kernel keeps for it. */
import { bytes, u64, z } from "./schema.js";

/** What of a thread stands in the note RECORE/THREADS; its regsets stand in the standard notes. */
export const threadNoteSchema = z.object({
  tid: z.int().positive(),
  comm: z.string(),
  /** Blocked signals, bit N-1 for signal N. */
  sigmask: u64,
  /** Signals queued to this thread alone: 128-byte siginfo_t each, in order. */
  pending: z.array(bytes),
  /** sigaltstack(2): flags SS_DISABLE=2 when there is none. */
  altStack: z.object({ sp: u64, flags: z.int(), sizeBytes: u64 }),
  robustList: z.object({ head: u64, lengthBytes: u64 }),
  /** set_tid_address(2); 0x0 when none. */
  clearChildTid: u64,
  /** rseq(2) registration, null when none. */
  rseq: z.object({ address: u64, sizeBytes: z.int(), signature: z.int(), flags: z.int() }).nullable(),
  scheduling: z.object({
    /** sched_setattr(2): SCHED_OTHER is 0. */
    policy: z.int(),
    flags: u64,
    nice: z.int(),
    priority: z.int(),
    runtimeNs: u64,
    deadlineNs: u64,
    periodNs: u64,
    ioprio: z.int(),
    timerSlackNs: u64,
  }),
  /** CPUs it may run on, ascending. */
  affinity: z.array(z.int().nonnegative()),
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
