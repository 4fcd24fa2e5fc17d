/**
 * What waits in unix sockets and in those of UDP, or why it cannot be had: the bytes of a stream and a message alone by a plain look, all
 * else by a reader (read-queues.ts), which must have counted as much as the kernel has.
 */
import type { FileDescription, FileState } from "../state/fd.js";
import type { KernelObject, Message, ObjectOf } from "../state/kernel-object.js";
import { readInfo } from "../tracee/descriptors.js";
import { passedDescriptors } from "../tracee/fdinfo.js";
import { withGrasp } from "../tracee/grasp.js";
import type { Peeked } from "../tracee/queue-reader.js";
import { accountOf, isReadable, peekSocket, receivedMemory, unreadByPeer } from "../tracee/sockets.js";
import type { Held } from "../tracee/tcp-keeper.js";
import { isUdp, refusedDatagrams, refusedReceiver } from "./datagrams.js";

const AF_UNIX = 1;
const SOCK_STREAM = 1;
const SOCK_DGRAM = 2;
const SOL_SOCKET = 1;
const SO_PASSCRED = 16;
const READER = Symbol("only a reader can tell");

type Socket = ObjectOf<"socket">;

/** All that waits in a socket. */
export interface Waiting {
  readonly bytes: Buffer;
  /** Null for one message, or bytes of a stream. */
  readonly messages: readonly Message[] | null;
}

/** A descriptor of a socket, and what a reader has found in it: a string says why it cannot be had. */
export interface HeldSocket extends Held {
  readonly queue?: Waiting | string;
}

/** A descriptor of each socket of a tree, by inode. */
export type Sockets = ReadonlyMap<bigint, HeldSocket>;

/** The sockets that the processes hold. */
export function socketsOf(all: Iterable<readonly [number, FileState]>): Sockets {
  const sockets = new Map<bigint, HeldSocket>();
  for (const [pid, { descriptions, descriptors }] of all) {
    for (const { id, kind, ino } of descriptions) {
      const fd = descriptors.find(({ description }) => description === id)?.fd;
      if (kind === "socket" && fd !== undefined && !sockets.has(ino)) sockets.set(ino, { pid, fd });
    }
  }
  return sockets;
}

interface Place {
  readonly description: FileDescription;
  readonly files: FileState;
  readonly sockets: Sockets;
}

/**
 * What waits in a socket; null when nothing does, or when only a reader in the stop can tell, a string when it
 * cannot be had.
 */
export function waitingIn(pid: number, { description, files, sockets }: Place): Waiting | null | string {
  const { object, id, ino } = description;
  const fd = files.descriptors.find((one) => one.description === id)?.fd;
  if (object?.kind !== "socket" || !isCarried(object) || fd === undefined) return null;
  const found = sockets.get(ino)?.queue ?? plainLook({ pid, fd }, object, sockets);
  if (found === null || typeof found === "string") return found;
  const udp = isUdp(object) ? refusedReceiver(object) : null;
  if (udp !== null) return udp;
  if (tellsSender(object)) return "unread messages that tell their sender (SO_PASSCRED)";
  return found === READER ? null : found;
}

/** The object with what waits in it. */
export function withQueue(
  object: KernelObject | null,
  waiting: Waiting | null | string,
): KernelObject | null {
  if (object?.kind !== "socket" || !isWaiting(waiting)) return object;
  return { ...object, queue: waiting.messages };
}

/** True for what is to be stored. */
export function isWaiting(waiting: Waiting | null | string): waiting is Waiting {
  return waiting !== null && typeof waiting !== "string";
}

function isCarried(object: Socket): boolean {
  return object.family === AF_UNIX || isUdp(object);
}

function tellsSender({ options }: Socket): boolean {
  return options.some(
    (one) => one.level === SOL_SOCKET && one.name === SO_PASSCRED && /[1-9a-f]/.test(one.value),
  );
}

/** True when only a reader can tell what waits in it. */
export function wantsReader(held: Held, object: Socket, sockets: Sockets): boolean {
  return isCarried(object) && plainLook(held, object, sockets) === READER;
}

/** What can be seen without a reader; null when nothing waits. */
function plainLook(held: Held, object: Socket, sockets: Sockets): Waiting | typeof READER | null {
  const { pid, fd } = held;
  if (isUdp(object)) return withGrasp(pid, fd, receivedMemory) > 0 ? READER : null;
  const peer = object.peer === null ? undefined : sockets.get(object.peer);
  if (peer === undefined && !object.peerClosed) return null;
  const account = peer && withGrasp(peer.pid, peer.fd, unreadByPeer);
  if (account === 0) return null;
  if (passedDescriptors(readInfo(pid, fd)) > 0) return READER;
  const { bytes, expected } = withGrasp(pid, fd, peekSocket);
  if (object.type === SOCK_STREAM) {
    if (expected === 0) return null;
    return bytes.length === expected ? { bytes, messages: null } : READER;
  }
  if (account !== undefined)
    return account === accountOf(bytes, sortOf(object)) ? { bytes, messages: null } : READER;
  // An end that was closed reads as one for ever, where messages are in sequence.
  const waits = object.type === SOCK_DGRAM ? withGrasp(pid, fd, isReadable) : expected > 0;
  return waits ? READER : null;
}

/**
 * Why what a reader found is not all that the kernel counts; null when it is. In a stream it must be counted as if each
 * part had been written at once: then descriptors on their way came with the first byte of their part.
 */
export function missing(
  held: Held,
  {
    object,
    queue,
    sockets,
  }: { readonly object: Socket; readonly queue: readonly Peeked[]; readonly sockets: Sockets },
): string | null {
  if (isUdp(object)) return refusedDatagrams(held, queue);
  const peer = object.peer === null ? undefined : sockets.get(object.peer);
  const isStream = object.type === SOCK_STREAM;
  if (object.type !== SOCK_DGRAM) {
    const found = queue.reduce((sum, { bytes }) => sum + bytes.length, 0);
    const { expected } = withGrasp(held.pid, held.fd, peekSocket);
    if (found !== expected) return `${expected} unread bytes that cannot be seen whole`;
  }
  if (peer === undefined && !isStream) return null;
  const counted = peer && withGrasp(peer.pid, peer.fd, unreadByPeer);
  const found = queue.reduce((sum, { bytes }) => sum + accountOf(bytes, sortOf(object)), 0);
  if (found === counted) return null;
  return isStream
    ? "descriptors on their way (SCM_RIGHTS) at an unknown byte"
    : "unread messages that cannot all be seen";
}

function sortOf({ family, type, protocol }: Socket): [number, number, number] {
  return [family, type, protocol];
}
