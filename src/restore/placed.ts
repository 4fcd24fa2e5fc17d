/** Where a restored program is to run: CPUs are chosen by the caller (supervise), who also confines it to them. */
import type { ProcessState } from "../state/process.js";
import type { SoftError } from "../state/soft-error.js";

/** Where the program is to run. */
export interface Placed {
  /** One affinity a thread. */
  readonly affinity: readonly (readonly number[])[];
  readonly softErrors: readonly SoftError[];
  /** Confines the process before it is rebuilt (cpuset). */
  confine(pid: number): void;
}

/** Where the threads were allowed to run when they were saved. */
export function recordedPlaces(state: ProcessState): Placed {
  return { affinity: state.threads.map(({ affinity }) => affinity), softErrors: [], confine: () => {} };
}
