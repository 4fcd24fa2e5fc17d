/**
 * A descriptor of another process held by cr as well (pidfd_getfd(2)): the very same open file, so that cr can ask
 * the kernel what only a holder may ask, while the process runs nothing and notices nothing.
 */
import { closeSync } from "node:fs";
import { call } from "./native.js";
import { ownCall } from "./own-call.js";

/** Runs `act` with cr's number for the descriptor, and closes that again. Throws `NativeError`. */
export function withGrasp<T>(pid: number, fd: number, act: (own: number) => T): T {
  const pidfd = call("cr_pidfd_open", pid);
  let own = -1;
  try {
    own = ownCall("pidfd_getfd", pidfd, fd, 0);
    return act(own);
  } finally {
    closeSync(pidfd);
    if (own >= 0) closeSync(own);
  }
}
