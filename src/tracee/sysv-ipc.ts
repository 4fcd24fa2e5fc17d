/** System V semaphores and message queues of our IPC namespace: the kernel's lists, what is in them, making them anew. */
import { readFileSync, writeFileSync } from "node:fs";
import { errnoName, NativeError } from "./native.js";
import { ownCall, tryOwnCall } from "./own-call.js";
import { readProcFile } from "./proc-file.js";

const PERMISSIONS = 0o777;
const IPC = { creat: 0o1000, excl: 0o2000, nowait: 0o4000, rmid: 0, set: 1, stat: 2 } as const;
const SEM = { getPid: 11, getAll: 13, getNcnt: 14, getZcnt: 15, setVal: 16 } as const;
/** Reads the message at a place and leaves it there (msgrcv(2)); needs CONFIG_CHECKPOINT_RESTORE. */
const MSG_COPY = 0o40000;
const TYPE_BYTES = 8;
/** struct semid64_ds and msqid64_ds begin with struct ipc64_perm: key, uid, gid, cuid, cgid, mode. */
const DS_BYTES = 120;
const PERM = { uid: 4, gid: 8, mode: 20 } as const;
const QBYTES_AT = 88;
const ATTEMPTS = 20;
const E2BIG = 7;
const ENOMSG = 42;

/** What both lists tell (proc_sysvipc(5)). */
export interface IpcInfo {
  readonly key: number;
  readonly id: number;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
}

export interface SemaphoresInfo extends IpcInfo {
  readonly count: number;
  /** Unix time in seconds of the last semop(2) or change by semctl(2). */
  readonly usedAt: number;
}

export interface QueueInfo extends IpcInfo {
  /** Messages in it, and their bytes. */
  readonly count: number;
  readonly bytes: number;
  /** Who was the last to send and to receive, 0 for nobody, and when. */
  readonly sender: number;
  readonly sentAt: number;
  readonly receiver: number;
  readonly receivedAt: number;
}

export interface Message {
  readonly type: bigint;
  readonly bytes: Buffer;
}

/** All sets of semaphores. */
export function readSemaphores(): SemaphoresInfo[] {
  return parseSemaphores(listOf("sem"));
}

/** All queues. */
export function readQueues(): QueueInfo[] {
  return parseQueues(listOf("msg"));
}

function listOf(name: "sem" | "msg"): string {
  try {
    return readFileSync(`/proc/sysvipc/${name}`, "latin1");
  } catch {
    // A kernel without System V IPC.
    return "";
  }
}

/** key semid perms nsems uid gid cuid cgid otime ctime; a line of headings first. */
export function parseSemaphores(text: string): SemaphoresInfo[] {
  return rowsOf(text).map((at) => ({
    ...{ key: at(0), id: at(1), mode: permissions(at(2)), count: at(3), uid: at(4), gid: at(5) },
    usedAt: Math.max(at(8), at(9)),
  }));
}

/** key msqid perms cbytes qnum lspid lrpid uid gid cuid cgid stime rtime ctime. */
export function parseQueues(text: string): QueueInfo[] {
  return rowsOf(text).map((at) => ({
    ...{ key: at(0), id: at(1), mode: permissions(at(2)), bytes: at(3), count: at(4) },
    ...{ sender: at(5), receiver: at(6), uid: at(7), gid: at(8), sentAt: at(11), receivedAt: at(12) },
  }));
}

function rowsOf(text: string): ((index: number) => number)[] {
  const lines = text.split("\n").slice(1).filter(Boolean);
  return lines.map((line) => {
    const columns = line.trim().split(/\s+/);
    return (index) => Number(columns[index] ?? 0);
  });
}

/** Printed in octal, and read as if they were decimal. */
function permissions(printed: number): number {
  return Number.parseInt(String(printed), 8) & PERMISSIONS;
}

/** Who was the last to change each semaphore, in our pid namespace; `NativeError` EACCES where it may not be read. */
export function semaphoreUsers({ id, count }: Pick<SemaphoresInfo, "id" | "count">): number[] {
  return Array.from({ length: count }, (_, index) => ownCall("semctl", id, index, SEM.getPid, 0));
}

/** What all semaphores of a set are at. */
export function semaphoreValues({ id, count }: Pick<SemaphoresInfo, "id" | "count">): number[] {
  const values = Buffer.alloc(count * 2);
  ownCall("semctl", id, 0, SEM.getAll, values);
  return Array.from({ length: count }, (_, index) => values.readUInt16LE(index * 2));
}

/** How many wait for a semaphore of the set. */
export function semaphoreWaiters({ id, count }: Pick<SemaphoresInfo, "id" | "count">): number {
  const waiting = (index: number) =>
    ownCall("semctl", id, index, SEM.getNcnt, 0) + ownCall("semctl", id, index, SEM.getZcnt, 0);
  return Array.from({ length: count }, (_, index) => waiting(index)).reduce((sum, one) => sum + one, 0);
}

/** The messages of a queue, which stay in it. `NativeError` ENOSYS on kernels that cannot show them. */
export function copyMessages({ id, count, bytes }: Pick<QueueInfo, "id" | "count" | "bytes">): Message[] {
  return Array.from({ length: count }, (_, place) => {
    const buffer = Buffer.alloc(TYPE_BYTES + bytes);
    return messageIn(buffer, ownCall("msgrcv", id, buffer, bytes, place, MSG_COPY | IPC.nowait));
  });
}

/** Takes all messages out of a queue. */
export function takeMessages({ id }: Pick<QueueInfo, "id">): Message[] {
  const taken: Message[] = [];
  for (let room = 8192; ; ) {
    const buffer = Buffer.alloc(TYPE_BYTES + room);
    const length = tryOwnCall("msgrcv", id, buffer, room, 0, IPC.nowait);
    if (length === -ENOMSG) return taken;
    if (length === -E2BIG) room *= 2;
    else taken.push(messageIn(buffer, length < 0 ? fail(length) : length));
  }
}

function messageIn(buffer: Buffer, length: number): Message {
  return { type: buffer.readBigInt64LE(0), bytes: buffer.subarray(TYPE_BYTES, TYPE_BYTES + length) };
}

/** As msgsnd(2) wants one. */
export function messageBuffer({ type, bytes }: Message): Buffer {
  const head = Buffer.alloc(TYPE_BYTES);
  head.writeBigInt64LE(type);
  return Buffer.concat([head, bytes]);
}

/** Sends one without waiting; `NativeError` EAGAIN where the queue is full. */
export function sendMessage(id: number, message: Message): void {
  ownCall("msgsnd", id, messageBuffer(message), message.bytes.length, IPC.nowait);
}

/** Sets one, whoever waits for it or would undo something. */
export function setSemaphore(id: number, index: number, value: number): void {
  ownCall("semctl", id, index, SEM.setVal, value);
}

/** The most bytes that may wait in a queue. */
export function queueLimit(id: number): number {
  const ds = Buffer.alloc(DS_BYTES);
  ownCall("msgctl", id, IPC.stat, ds);
  return Number(ds.readBigUInt64LE(QBYTES_AT));
}

/**
 * Makes one with exactly this id, owner and permissions, or null when the id is taken. `count` semaphores, or a queue
 * for `limitBytes`. Needs CAP_CHECKPOINT_RESTORE or CAP_SYS_ADMIN (errno errors); EEXIST as `NativeError` when the key is taken.
 */
export function makeIpc(
  kind: "sem" | "msg",
  wanted: IpcInfo & { readonly count?: number; readonly limitBytes?: number },
): number | null {
  const { key, id, mode, uid, gid, count = 0, limitBytes = 0 } = wanted;
  const flags = IPC.creat | IPC.excl | mode;
  for (let attempt = 0; attempt < ATTEMPTS; attempt += 1) {
    writeFileSync(`/proc/sys/kernel/${kind}_next_id`, String(id));
    const made = kind === "sem" ? ownCall("semget", key, count, flags) : ownCall("msgget", key, flags);
    if (made !== id) {
      // The wish is for the next one that anybody makes: somebody else was faster.
      removeIpc(kind, made);
      continue;
    }
    const ds = Buffer.alloc(DS_BYTES);
    ds.writeUInt32LE(uid, PERM.uid);
    ds.writeUInt32LE(gid, PERM.gid);
    ds.writeUInt32LE(mode, PERM.mode);
    ds.writeBigUInt64LE(BigInt(limitBytes), QBYTES_AT);
    const set =
      kind === "sem" ? tryOwnCall("semctl", id, 0, IPC.set, ds) : tryOwnCall("msgctl", id, IPC.set, ds);
    if (set < 0) removeIpc(kind, id);
    return set < 0 ? fail(set) : made;
  }
  return null;
}

/** Removes it, if it is there. */
export function removeIpc(kind: "sem" | "msg", id: number): void {
  if (kind === "sem") tryOwnCall("semctl", id, 0, IPC.rmid, 0);
  else tryOwnCall("msgctl", id, IPC.rmid, 0);
}

function fail(result: number): never {
  throw new NativeError("cr_own_call", errnoName(-result));
}

/** Calls of semaphores and queues in which a thread waits, with the object's id in their first argument. */
const WAITS: Readonly<Record<string, "sem" | "msg">> = {
  "65": "sem",
  "220": "sem",
  "69": "msg",
  "70": "msg",
};

/** The object that a thread waits for; null for one that does something else (proc_pid_syscall(5)). */
export function waitsFor(
  pid: number,
  tid: number,
): { readonly kind: "sem" | "msg"; readonly id: number } | null {
  try {
    const [call = "", first = ""] = readProcFile(`/proc/${pid}/task/${tid}/syscall`).split(" ");
    const kind = WAITS[call];
    return kind === undefined ? null : { kind, id: Number(first) | 0 };
  } catch {
    return null;
  }
}
