/** POSIX message queues (mq_overview(7)): what is told of one behind a descriptor, and one made or opened by its name. */
import { readFileSync, statfsSync } from "node:fs";
import { isErrno } from "../errors.js";
import { withGrasp } from "./grasp.js";
import { ownCall, tryOwnCall } from "./own-call.js";

/** linux/magic.h */
const MQUEUE_MAGIC = 0x1980_0202;
/** struct mq_attr: flags, messages at most, bytes of one at most, messages now, and room. */
const ATTR_BYTES = 64;
const AT = { maxMessages: 8, messageBytes: 16, waiting: 24 } as const;
const O_NONBLOCK = 0o4000;
const O_RDONLY = 0;
const PRIORITY_BYTES = 4;

export interface QueueAttributes {
  readonly maxMessages: number;
  readonly messageBytes: number;
  /** Messages in it. */
  readonly waiting: number;
}

/** True for a descriptor of a message queue, whether or not its file system is mounted. */
export function isQueueDescriptor(pid: number, fd: number): boolean {
  return unlessClosed(() => statfsSync(`/proc/${pid}/fd/${fd}`).type === MQUEUE_MAGIC) ?? false;
}

/** Attributes of the queue behind a descriptor of another process. */
export function attributesOf(pid: number, fd: number): QueueAttributes {
  return withGrasp(pid, fd, queueAttributes);
}

/** The same of a descriptor of ours. */
export function queueAttributes(fd: number): QueueAttributes {
  const attr = Buffer.alloc(ATTR_BYTES);
  ownCall("mq_getsetattr", fd, 0, attr);
  const at = (offset: number) => Number(attr.readBigInt64LE(offset));
  return { maxMessages: at(AT.maxMessages), messageBytes: at(AT.messageBytes), waiting: at(AT.waiting) };
}

/** Who will be told of the next message (mq_notify(3)), 0 for nobody. */
export function notifiedOf(pid: number, fd: number): number {
  return parseNotified(unlessClosed(() => readFileSync(`/proc/${pid}/fd/${fd}`, "latin1")) ?? "");
}

/** Null for what a running process has just closed. */
function unlessClosed<T>(look: () => T): T | null {
  try {
    return look();
  } catch (error) {
    if (isErrno(error, "ENOENT", "ESRCH")) return null;
    throw error;
  }
}

/** `QSIZE:0 NOTIFY:0 SIGNO:0 NOTIFY_PID:0`. */
export function parseNotified(text: string): number {
  return Number(/NOTIFY_PID:\s*(\d+)/.exec(text)?.[1] ?? 0);
}

/** Opens one by its name, with the slash; the descriptor, or a negative errno. */
export function openQueue(name: string, flags: number): number {
  return tryOwnCall("mq_open", nameOf(name), flags, 0, 0);
}

/** Makes one and opens it; `flags` of mq_open(3) with O_CREAT and O_EXCL. */
export function makeQueue(
  name: string,
  flags: number,
  wanted: Pick<QueueAttributes, "maxMessages" | "messageBytes"> & { readonly mode: number },
): number {
  const attr = Buffer.alloc(ATTR_BYTES);
  attr.writeBigInt64LE(BigInt(wanted.maxMessages), AT.maxMessages);
  attr.writeBigInt64LE(BigInt(wanted.messageBytes), AT.messageBytes);
  return ownCall("mq_open", nameOf(name), flags, wanted.mode, attr);
}

/** Removes its name. */
export function unlinkQueue(name: string): void {
  tryOwnCall("mq_unlink", nameOf(name));
}

/** Takes all messages out of the queue with this name. */
export function emptyQueue(name: string): void {
  const fd = ownCall("mq_open", nameOf(name), O_RDONLY | O_NONBLOCK, 0, 0);
  const { messageBytes } = queueAttributes(fd);
  const buffer = Buffer.alloc(messageBytes + PRIORITY_BYTES);
  while (tryOwnCall("mq_timedreceive", fd, buffer, messageBytes, 0, 0) >= 0);
  ownCall("close", fd);
}

/** As the kernel wants it: without the slash that the library wants. */
function nameOf(name: string): Buffer {
  return Buffer.from(`${name.slice(1)}\0`);
}
