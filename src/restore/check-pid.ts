/** Whether the recorded pid is free to be given again. */

import { setTimeout as sleep } from "node:timers/promises";
import { CrError } from "../errors.js";
import { nowMs } from "../host/monotonic.js";
import { describeHolder, type PidHolder, whoHolds } from "../host/process-holder.js";

/** How long a zombie's parent gets to reap it: a pid 1 that only looks now and then takes some 2 seconds. */
const REAP_WAIT_MS = 5_000;
const POLL_MS = 20;

/**
 * Refuses a pid that something else has, as its own or as that of its group or session: PID_TAKEN, which says what and
 * whose it is. A zombie that is only waiting to be reaped is waited for, up to 5 seconds. `inTree`: another number is no way out.
 */
export async function checkPidFree(pid: number, waitMs = REAP_WAIT_MS, inTree = false): Promise<void> {
  const deadline = nowMs() + waitMs;
  let holder = whoHolds(pid);
  while (holder !== undefined && isZombie(holder) && nowMs() < deadline) {
    await sleep(POLL_MS);
    holder = whoHolds(pid);
  }
  if (holder === undefined) return;
  const { pid: holderPid, as, comm, user, state } = holder;
  throw new CrError(
    "PID_TAKEN",
    `restore the program as pid ${pid}: the number belongs to ${describeHolder(holder)}, it must be free`,
    { hint: hintFor(holder, inTree), data: { pid, holderPid, as, comm, user, state } },
  );
}

/** The processes of a tree know one another by their numbers. */
function hintFor(holder: PidHolder, inTree: boolean): string {
  if (isZombie(holder)) {
    const parent = `let its parent ${holder.ppid} reap it or end`;
    return inTree ? parent : `${parent}, or restore with --pid ns`;
  }
  if (inTree) return "end the other process, and try again";
  return "restore with --pid ns, in a pid namespace of its own, or end the other process";
}

function isZombie(holder: PidHolder): boolean {
  return holder.state === "Z";
}
