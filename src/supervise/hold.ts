/**
 * Holding a process for longer than one operation: by a pidfd, which never leads to a later process, and by its
 * start time, which tells that the pidfd was opened on the right one. A zombie has ended.
 */
import { closeSync } from "node:fs";
import { CrError } from "../errors.js";
import { isAlive, type ProcessIdentity } from "../host/process-status.js";
import { isNativeError } from "../tracee/native-error.js";
import { ownCall, tryOwnCall } from "../tracee/own-call.js";

export interface HeldProcess extends ProcessIdentity, Disposable {
  /** True while it runs; never true again once it was false. */
  alive(): boolean;
}

/** Takes hold of the process; NO_SUCH_PROCESS when the pid is free or belongs to a process started at another time. */
export function holdProcess(identity: ProcessIdentity): HeldProcess {
  const pidfd = openPidfd(identity.pid);
  // Start time after the pidfd: if it fits now, the pidfd cannot be on a later process.
  if (pidfd === undefined || !isAlive(identity)) {
    if (pidfd !== undefined) closeSync(pidfd);
    throw new CrError("NO_SUCH_PROCESS", `watching process ${identity.pid}: there is none, or it has ended`, {
      hint: "find the pid with pgrep or ps",
    });
  }
  return {
    ...identity,
    alive: () => signalsNothing(pidfd) && isAlive(identity),
    [Symbol.dispose]: () => closeSync(pidfd),
  };
}

function openPidfd(pid: number): number | undefined {
  try {
    return ownCall("pidfd_open", pid, 0);
  } catch (error) {
    // The number is a thread's, not a process's: EINVAL (pidfd_open(2)), on newer kernels ENOENT (seen on 6.18).
    if (isNativeError(error, "ESRCH", "EINVAL", "ENOENT")) return undefined;
    throw error;
  }
}

/** Signal 0 through the pidfd: fails with ESRCH once the process is reaped; EPERM still means it is there. */
function signalsNothing(pidfd: number): boolean {
  const result = tryOwnCall("pidfd_send_signal", pidfd, 0, 0, 0);
  return result >= 0 || result === -1;
}
