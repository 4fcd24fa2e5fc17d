/** The status word of waitpid(2) as a closed set of cases (ptrace(2), "Stopped states"). */

/** PTRACE_EVENT_STOP (linux/ptrace.h): an interrupt, or a group-stop of a seized tracee. */
const EVENT_STOP = 128;
const SIGTRAP = 5;

export type Stop =
  | { readonly kind: "exited"; readonly status: number }
  | { readonly kind: "signaled"; readonly signal: number; readonly dumped: boolean }
  /** Signal-delivery-stop of a tracee, or a job-control stop of a child. */
  | { readonly kind: "stopped"; readonly signal: number }
  | { readonly kind: "continued" }
  | { readonly kind: "syscall" }
  /** A ptrace event; `interrupt` when it is the answer to PTRACE_INTERRUPT, else a group-stop or another event. */
  | { readonly kind: "event"; readonly event: number; readonly signal: number; readonly interrupt: boolean };

/** The signal of job control that holds a seized tracee (group-stop, ptrace(2)); 0 for any other stop. */
export function jobStopSignal(stop: Stop): number {
  return stop.kind === "event" && stop.event === EVENT_STOP && !stop.interrupt ? stop.signal : 0;
}

/** Decodes a wait status. */
export function decodeStatus(status: number): Stop {
  if (status === 0xffff) return { kind: "continued" };
  const low = status & 0x7f;
  if (low === 0) return { kind: "exited", status: (status >> 8) & 0xff };
  if (low !== 0x7f) return { kind: "signaled", signal: low, dumped: (status & 0x80) !== 0 };
  const signal = (status >> 8) & 0xff;
  const event = status >> 16;
  if (event !== 0) {
    return { kind: "event", event, signal, interrupt: event === EVENT_STOP && signal === SIGTRAP };
  }
  if (signal === (SIGTRAP | 0x80)) return { kind: "syscall" };
  return { kind: "stopped", signal };
}
