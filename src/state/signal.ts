/** Signals of a process: what it does on each, and what is queued to it. */
import { bytes, int, u64, z } from "./schema.js";

/** Signals of Linux x86-64 run from 1 to 64. */
export const SIGNAL_COUNT = 64;

/** struct kernel_sigaction (rt_sigaction(2)); handler 0 is SIG_DFL, 1 SIG_IGN. */
export const sigactionSchema = z.object({
  signal: int.check(z.minimum(1), z.maximum(SIGNAL_COUNT)),
  handler: u64,
  flags: u64,
  restorer: u64,
  mask: u64,
});
export type Sigaction = z.infer<typeof sigactionSchema>;

/** Note RECORE/SIGNALS. Actions that are all zero are left out. */
export const signalsSchema = z.object({
  actions: z.array(sigactionSchema),
  /** Signals queued to the process: 128-byte siginfo_t each, in order. */
  pending: z.array(bytes),
});
export type SignalState = z.infer<typeof signalsSchema>;
