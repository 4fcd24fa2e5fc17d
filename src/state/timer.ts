/** Timers of a process that have no descriptor (getitimer(2), timer_create(2)); note RECORE/TIMERS. */
import { int, natural, positive, u64, z } from "./schema.js";

/** A POSIX timer. */
export const posixTimerSchema = z.object({
  id: natural,
  /** clockid_t; negative for the CPU clock of a process or thread (clock_getcpuclockid(3)). */
  clock: int,
  /** sigev_signo and sigev_value of its sigevent. */
  signal: int,
  value: u64,
  notify: z.enum(["signal", "none", "thread"]),
  /** SIGEV_THREAD_ID: the thread that is told. */
  tid: z.nullable(positive),
  /** Time left in nanoseconds, 0 when it is not armed, and period, 0 when it fires once. */
  leftNs: u64,
  intervalNs: u64,
});
export type PosixTimer = z.infer<typeof posixTimerSchema>;

export const timersSchema = z.object({
  /** Interval timers; idle ones are left out. */
  itimers: z.array(
    z.object({
      /** ITIMER_REAL 0, ITIMER_VIRTUAL 1, ITIMER_PROF 2. */
      which: int.check(z.minimum(0), z.maximum(2)),
      /** Time left and period in microseconds. */
      valueUs: u64,
      intervalUs: u64,
    }),
  ),
  /** POSIX timers, idle ones included, ascending by id. */
  posix: z._default(z.array(posixTimerSchema), []),
});
export type TimerState = z.infer<typeof timersSchema>;
