/** Interval timers of a process (getitimer(2)); note RECORE/TIMERS. Idle ones are left out. */
import { u64, z } from "./schema.js";

export const timersSchema = z.object({
  itimers: z.array(
    z.object({
      /** ITIMER_REAL 0, ITIMER_VIRTUAL 1, ITIMER_PROF 2. */
      which: z.int().min(0).max(2),
      /** Time left and period in microseconds. */
      valueUs: u64,
      intervalUs: u64,
    }),
  ),
});
export type TimerState = z.infer<typeof timersSchema>;
