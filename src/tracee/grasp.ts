/**
 * A descriptor of another process held by cr as well (pidfd_getfd(2)): the very same open file, so that cr can ask
 * the kernel what only a holder may ask, while the process runs nothing and notices nothing.
 */
import { closeSync } from "node:fs";
import { ownCall, tryOwnCall } from "./own-call.js";

/** Runs `act` with cr's number for the descriptor, and closes that again. Throws `NativeError`. */
export function withGrasp<T>(pid: number, fd: number, act: (own: number) => T): T {
  const pidfd = openPidfd(pid);
  let own = -1;
  try {
    own = ownCall("pidfd_getfd", pidfd, fd, 0);
    return act(own);
  } finally {
    closeSync(pidfd);
    if (own >= 0) closeSync(own);
  }
}

/** PIDFD_THREAD of pidfd_open(2), Linux 6.9: for another thread than the main one. */
const PIDFD_THREAD = 0o200;

/** True where descriptors can be had through any thread of a process. */
export function canGraspByThread(tid: number): boolean {
  const pidfd = tryOwnCall("pidfd_open", tid, PIDFD_THREAD);
  if (pidfd >= 0) closeSync(pidfd);
  return pidfd >= 0;
}

function openPidfd(pid: number): number {
  const pidfd = tryOwnCall("pidfd_open", pid, 0);
  if (pidfd >= 0) return pidfd;
  const ofThread = tryOwnCall("pidfd_open", pid, PIDFD_THREAD);
  return ofThread >= 0 ? ofThread : ownCall("pidfd_open", pid, 0);
}
