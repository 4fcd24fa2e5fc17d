/** What waits behind descriptors of a stopped process: refused where it cannot be had without taking it. */
import type { FileState } from "../state/fd.js";
import type { KernelObject } from "../state/kernel-object.js";
import { readInfo } from "../tracee/descriptors.js";
import { timerfdLeftNs, waitingBytes } from "../tracee/fd-control.js";
import { timerfdInfo } from "../tracee/fdinfo.js";
import { isNativeError } from "../tracee/native-error.js";
import { PIPE_BYTES_MAX } from "../tracee/pipe.js";
import { type Sockets, socketsOf, waitingIn } from "./queues.js";
import type { Refusal } from "./refusal.js";

const O_ACCMODE = 0o3;
const O_WRONLY = 1;
/** A pipe in packet mode: where its bytes are divided cannot be seen. */
const O_DIRECT = 0o40000;

/** Pipes whose content is more than can be copied, or is divided into packets; sockets with more than one message. */
export function refusedContents(
  pid: number,
  files: FileState,
  sockets: Sockets = socketsOf([[pid, files]]),
): Refusal[] {
  return [...refusedPipes(pid, files), ...refusedQueues(pid, files, sockets)];
}

/** The same of a process that runs on: what it closes meanwhile is not refused. */
export function refusedContentsNow(pid: number, files: FileState, sockets: Sockets): Refusal[] {
  try {
    return refusedContents(pid, files, sockets);
  } catch (error) {
    if (isNativeError(error, "EBADF", "ESRCH")) return [];
    throw error;
  }
}

function refusedQueues(pid: number, files: FileState, sockets: Sockets): Refusal[] {
  return files.descriptions.flatMap((description) => {
    const waiting = waitingIn(pid, { description, files, sockets });
    if (typeof waiting !== "string") return [];
    const fd = files.descriptors.find((one) => one.description === description.id)?.fd ?? 0;
    const what = `${waiting} in ${description.path}`;
    return [{ kind: "descriptor", id: `fd:${fd}`, what, skip: `fd:${fd}` }];
  });
}

function refusedPipes(pid: number, { descriptions, descriptors }: FileState): Refusal[] {
  const pipes = descriptions.filter(({ kind }) => kind === "pipe");
  const packets = new Set(pipes.filter(({ flags }) => flags & O_DIRECT).map(({ ino }) => ino));
  return pipes.flatMap((pipe) => {
    const fd = descriptors.find(({ description }) => description === pipe.id)?.fd;
    if (fd === undefined || (pipe.flags & O_ACCMODE) === O_WRONLY) return [];
    const bytes = waitingBytes(pid, fd);
    if (bytes === 0 || (bytes <= PIPE_BYTES_MAX && !packets.has(pipe.ino))) return [];
    const what = packets.has(pipe.ino)
      ? "unread packets (O_DIRECT)"
      : `${bytes} unread bytes, more than can be copied,`;
    return [{ kind: "descriptor", id: `fd:${fd}`, what: `${what} in ${pipe.path}`, skip: `fd:${fd}` }];
  });
}

/**
 * A periodic timerfd that ran out unread stands still until it is looked at: asking for its time makes the kernel
 * count the periods it missed, as the program's own read would.
 */
export function lastSeen(pid: number, fd: number, object: KernelObject | null): KernelObject | null {
  if (object?.kind !== "timerfd" || object.ticks === 0n || object.intervalNs === 0n) return object;
  const valueNs = timerfdLeftNs(pid, fd);
  return { ...object, ...timerfdInfo(readInfo(pid, fd)), valueNs };
}
