/** Sending signals to processes that are ours to signal: tracees and children not yet reaped. */
import { isErrno } from "../errors.js";

/** kill(2); a process that is gone already is no failure. */
export function sendSignal(pid: number, signal: number): void {
  try {
    process.kill(pid, signal);
  } catch (error) {
    if (!isErrno(error, "ESRCH")) throw error;
  }
}
