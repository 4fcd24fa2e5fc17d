/** What fcntl(2) and ioctl(2) tell about a descriptor of a process, asked by cr as a holder of it (grasp.ts). */

import { withGrasp } from "./grasp.js";
import { isNativeError } from "./native-error.js";
import { ownCall } from "./own-call.js";

const F_GETSIG = 11;
const F_GETOWN_EX = 16;
const F_GETPIPE_SZ = 1032;
const F_GET_SEALS = 1034;
const FIONREAD = 0x541b;
const POLLERR = 8;
const POLLHUP = 0x10;

/** Room in a pipe, in bytes. */
export function pipeCapacity(pid: number, fd: number): number {
  return withGrasp(pid, fd, (own) => ownCall("fcntl", own, F_GETPIPE_SZ, 0));
}

/** True when nobody has the other end of a pipe any more: poll(2) tells a hang-up at the one, an error at the other. */
export function isPipeWidowed(pid: number, fd: number): boolean {
  const poll = Buffer.alloc(8);
  withGrasp(pid, fd, (own) => {
    poll.writeInt32LE(own, 0);
    ownCall("poll", poll, 1, 0);
  });
  return (poll.readInt16LE(6) & (POLLERR | POLLHUP)) !== 0;
}

/** Seals of a memfd (F_GET_SEALS). */
export function sealsOf(pid: number, fd: number): number {
  return withGrasp(pid, fd, sealsOfFile);
}

/** The same of a descriptor of our own. */
export function sealsOfFile(fd: number): number {
  return ownCall("fcntl", fd, F_GET_SEALS, 0);
}

/** Bytes that a read would find (FIONREAD). */
export function waitingBytes(pid: number, fd: number): number {
  const count = Buffer.alloc(4);
  withGrasp(pid, fd, (own) => ownCall("ioctl", own, FIONREAD, count));
  return count.readInt32LE();
}

export interface SignalOwner {
  /** F_OWNER_TID 0, F_OWNER_PID 1, F_OWNER_PGRP 2. */
  readonly type: number;
  readonly id: number;
  readonly signal: number;
}

/** Who is sent a signal when something happens at the descriptor; null when nobody. */
export function signalOwner(pid: number, fd: number): SignalOwner | null {
  return withGrasp(pid, fd, (own) => {
    const owner = Buffer.alloc(8);
    try {
      ownCall("fcntl", own, F_GETOWN_EX, owner);
    } catch (error) {
      // An owner that has ended.
      if (isNativeError(error, "ESRCH")) return null;
      throw error;
    }
    const [type, id] = [owner.readInt32LE(0), owner.readInt32LE(4)];
    const signal = ownCall("fcntl", own, F_GETSIG, 0);
    return id === 0 && signal === 0 ? null : { type, id, signal };
  });
}

/** Time left of a timerfd whose expirations nobody has read, in ns; the kernel counts the missed ones with it. */
export function timerfdLeftNs(pid: number, fd: number): bigint {
  const spec = Buffer.alloc(32);
  withGrasp(pid, fd, (own) => ownCall("timerfd_gettime", own, spec));
  return spec.readBigInt64LE(16) * 1_000_000_000n + spec.readBigInt64LE(24);
}
