/** State that cannot be saved yet: collected, so that the user sees all of it at once, before anything stops. */
import { CrError } from "../errors.js";

export interface Refusal {
  /** The process that has it, where it may be another than the one that is checkpointed. */
  readonly pid?: number;
  /** Kind of state in the words of docs/limits.md: `thread`, `descriptor`, `mapping`, … */
  readonly kind: string;
  /** Which one: `fd:7`, an address, a tid; empty when there is only one. */
  readonly id: string;
  /** What it is, for the user. */
  readonly what: string;
  /** `KIND:ID` of the `--skip` that leaves it out; none where the program cannot do without it. */
  readonly skip?: string;
}

/** Throws UNSUPPORTED_STATE that names every item; does nothing when there is none. */
export function refuse(pid: number, refusals: readonly Refusal[]): void {
  if (refusals.length > 0) throw unsupportedState(pid, refusals);
}

/** The error that names every item. */
export function unsupportedState(pid: number, refusals: readonly Refusal[]): CrError {
  const items = refusals.map((refusal) => {
    const { id, what, skip } = refusal;
    const whose = refusal.pid === undefined || refusal.pid === pid ? "" : `process ${refusal.pid}: `;
    const named = `${whose}${id ? `${id}: ` : ""}${what}`;
    return skip === undefined ? named : `${named} (--skip ${skip} leaves it out)`;
  });
  return new CrError(
    "UNSUPPORTED_STATE",
    `cannot checkpoint process ${pid}: it has state that cannot be saved: ${items.join("; ")}`,
    {
      hint: "docs/limits.md lists what is supported; the process was not changed and goes on",
      data: { refusals },
    },
  );
}
