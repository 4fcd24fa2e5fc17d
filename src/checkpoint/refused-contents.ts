/** What waits behind descriptors of a stopped process: refused where it cannot be had without taking it. */
import type { FileDescription, FileState } from "../state/fd.js";
import type { KernelObject } from "../state/kernel-object.js";
import { readInfo } from "../tracee/descriptors.js";
import { timerfdLeftNs, waitingBytes } from "../tracee/fd-control.js";
import { timerfdInfo } from "../tracee/fdinfo.js";
import { isNativeError } from "../tracee/native-error.js";
import { PIPE_BYTES_MAX } from "../tracee/pipe.js";
import type { Refusal } from "./refusal.js";
import { queuedIn } from "./sockets.js";

const O_ACCMODE = 0o3;
const O_WRONLY = 1;
/** A pipe in packet mode: where its bytes are divided cannot be seen. */
const O_DIRECT = 0o40000;

/** A descriptor of each socket of a tree, by inode. */
export type Sockets = ReadonlyMap<bigint, { readonly pid: number; readonly fd: number }>;

/** The sockets that the processes hold. */
export function socketsOf(all: Iterable<readonly [number, FileState]>): Sockets {
  const sockets = new Map<bigint, { pid: number; fd: number }>();
  for (const [pid, { descriptions, descriptors }] of all) {
    for (const { id, kind, ino } of descriptions) {
      const fd = descriptors.find(({ description }) => description === id)?.fd;
      if (kind === "socket" && fd !== undefined && !sockets.has(ino)) sockets.set(ino, { pid, fd });
    }
  }
  return sockets;
}

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
    const pair = pairOf(description, files, sockets);
    const queued = pair === null ? null : queuedIn(pid, pair);
    if (pair === null || typeof queued !== "string") return [];
    return [
      {
        kind: "descriptor",
        id: `fd:${pair.fd}`,
        what: `${queued} in ${description.path}`,
        skip: `fd:${pair.fd}`,
      },
    ];
  });
}

/** A descriptor for each end of a pair, of which the description is one; null for what is none. */
export function pairOf({ id, object }: FileDescription, { descriptors }: FileState, sockets: Sockets) {
  if (object?.kind !== "socket" || object.peer === null) return null;
  const peer = sockets.get(object.peer);
  const fd = descriptors.find(({ description }) => description === id)?.fd;
  return fd === undefined || peer === undefined ? null : { fd, peerPid: peer.pid, peerFd: peer.fd, object };
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
