/**
 * Session and process group of a restored program. A lone leader restored with `--detach` leads again, under the same
 * numbers; in the foreground a program is in the session of cr, whose terminal it shares. What differs is cosmetic.
 */
import type { ProcessState } from "../state/process.js";
import type { SoftError } from "../state/soft-error.js";

/** How the newborn is started: with a session of its own, a group of its own, or in cr's. */
export function groupFor({ process }: Pick<ProcessState, "process">, detach: boolean) {
  if (detach) return "session";
  return process.pgid === process.pid ? "own" : "shared";
}

/** What the program could see to be different: leading a session changes what setsid(2) and a terminal do. */
export function sessionDifferences(
  { process }: Pick<ProcessState, "process">,
  detach: boolean,
): readonly SoftError[] {
  const { pid, sid } = process;
  const led = sid === pid;
  if (led === detach) return [];
  const message = detach
    ? `the program leads a session of its own now; it was in that of process ${sid}`
    : "the program is in the session of cr now; it led one of its own, which --detach gives it again";
  return [{ kind: "session", id: "", message }];
}
