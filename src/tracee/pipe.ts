/** Pipes: what waits in one of a stopped process, and a new one in which the same bytes wait. */
import { closeSync, constants, openSync } from "node:fs";
import { call } from "./native.js";

/** More than this never waits in a pipe unless root made it larger (pipe(7), pipe-max-size). */
export const PIPE_BYTES_MAX = 1 << 20;

/**
 * A copy of the bytes that wait in the pipe or FIFO behind a descriptor of a process; they stay there. Throws
 * `NativeError` when they cannot be seen whole.
 */
export function peekPipe(pid: number, fd: number): Buffer {
  const own = openSync(`/proc/${pid}/fd/${fd}`, constants.O_RDONLY | constants.O_NONBLOCK);
  try {
    const out = Buffer.alloc(PIPE_BYTES_MAX);
    return Buffer.from(out.subarray(0, call("cr_peek_pipe", own, out, out.length)));
  } finally {
    closeSync(own);
  }
}

/** A new pipe in which `bytes` wait to be read; both ends close on exec. */
export function makePipe(bytes: Buffer): { readonly readFd: number; readonly writeFd: number } {
  const fds = Buffer.alloc(8);
  call("cr_pipe", fds, bytes, bytes.length);
  return { readFd: fds.readInt32LE(0), writeFd: fds.readInt32LE(4) };
}
