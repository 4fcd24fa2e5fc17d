/**
 * Placed descriptors that epoll instances of the program watch: not every file can be watched (epoll_ctl(2), EPERM),
 * so it is tried in cr, before anything is started.
 */
import { closeSync } from "node:fs";
import { CrError } from "../errors.js";
import { ownCall, tryOwnCall } from "../tracee/own-call.js";
import type { PlannedDescriptor } from "./descriptor-plan.js";

const EPERM = 1;
const EPOLL_CLOEXEC = 0o2000000;
const EPOLL_CTL_ADD = 1;
/** struct epoll_event is packed on x86-64: events, data. */
const EVENT_BYTES = 12;

/** FD_OUTSIDE when an epoll instance watches what leads to a file that cannot be; `ownFd` is cr's descriptor of it. */
export function requireWatchable(
  planned: readonly PlannedDescriptor[],
  ownFd: (plan: Extract<PlannedDescriptor, { to: "placement" }>) => number | undefined,
): void {
  for (const epoll of planned) {
    if (epoll.to !== "inside" || epoll.description.kind !== "epoll") continue;
    const watched = new Set(epoll.description.watches?.map(({ fd }) => fd));
    for (const plan of planned) {
      if (plan.to !== "placement" || !watched.has(plan.fd)) continue;
      const own = ownFd(plan);
      if (own === undefined || isWatchable(own)) continue;
      throw new CrError(
        "FD_OUTSIDE",
        `restore descriptor ${plan.fd}: epoll descriptor ${epoll.fd} watches it, and it would lead to a file that cannot be watched, such as /dev/null`,
        { hint: `add --fd ${plan.fd}=PATH with a FIFO or terminal`, data: { fd: plan.fd, epoll: epoll.fd } },
      );
    }
  }
}

function isWatchable(fd: number): boolean {
  const epoll = ownCall("epoll_create1", EPOLL_CLOEXEC);
  try {
    return tryOwnCall("epoll_ctl", epoll, EPOLL_CTL_ADD, fd, Buffer.alloc(EVENT_BYTES)) !== -EPERM;
  } finally {
    closeSync(epoll);
  }
}
