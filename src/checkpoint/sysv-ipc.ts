/**
 * System V semaphores and message queues of a program. No descriptor leads to one: it belongs to a tree when a member was
 * the last to use it, or waits for it. One that a process outside uses as well is refused.
 */
import { isErrno } from "../errors.js";
import { CLOCK_TICKS_PER_SECOND } from "../host/boot.js";
import { processStatus } from "../host/process-status.js";
import type { Semaphores, SysvIpc } from "../state/sysv-ipc.js";
import { hostClocks } from "../tracee/clocks.js";
import { isNativeError } from "../tracee/native-error.js";
import {
  copyMessages,
  type QueueInfo,
  queueLimit,
  readQueues,
  readSemaphores,
  type SemaphoresInfo,
  semaphoreUsers,
  semaphoreValues,
  semaphoreWaiters,
  waitsFor,
} from "../tracee/sysv-ipc.js";
import { threadsOf } from "../tracee/tasks.js";
import type { Refusal } from "./refusal.js";

/** What belongs to a tree. */
export interface IpcLook {
  readonly semaphores: readonly SemaphoresInfo[];
  readonly queues: readonly QueueInfo[];
  readonly refusals: readonly Refusal[];
}

/** Times of the kernel's lists are whole seconds. */
const GRAIN_S = 1;

type Waits = readonly { readonly kind: "sem" | "msg"; readonly id: number }[];

/**
 * What of our IPC namespace belongs to the processes `pids`; with `all` everything, because they have it to themselves.
 * Refused by name: what others use, too, and what cannot be read.
 */
export function lookAtIpc(pids: readonly number[], { all = false } = {}): IpcLook {
  const [sets, lists] = [readSemaphores(), readQueues()];
  if (sets.length + lists.length === 0) return { semaphores: [], queues: [], refusals: [] };
  const waits = pids.flatMap((pid) => threadsOf(pid).flatMap((tid) => waitsFor(pid, tid) ?? []));
  const own = new Set(pids);
  const refusals: Refusal[] = [];
  const waitsHere = (kind: "sem" | "msg", id: number) =>
    waits.filter((one) => one.kind === kind && one.id === id).length;
  const judge = (
    one: SemaphoresInfo | QueueInfo,
    kind: "sem" | "msg",
    look: () => readonly User[],
  ): boolean => {
    const users = tryLook(look);
    const isOwn =
      all || users?.some((user) => own.has(user.pid) && isSame(user)) || waitsHere(kind, one.id) > 0;
    if (!isOwn) return false;
    const other = users?.find((user) => !own.has(user.pid) && isSame(user));
    if (users === null) refusals.push(refusalOf(kind, one, "which cr may not read"));
    else if (other)
      refusals.push(refusalOf(kind, one, `which process ${other.pid} (${nameOf(other.pid)}) uses, too`));
    else if (kind === "sem" && waitsElsewhere(one as SemaphoresInfo, waits))
      refusals.push(refusalOf(kind, one, "which a process outside waits for"));
    return true;
  };
  return {
    semaphores: sets.filter((one) => judge(one, "sem", () => usersOf(one))),
    queues: lists.filter((one) => judge(one, "msg", () => usersOfQueue(one))),
    refusals,
  };
}

/** Somebody who was the last to do something, and when, in seconds of Unix time. */
interface User {
  readonly pid: number;
  readonly at: number;
}

function usersOf(set: SemaphoresInfo): User[] {
  return semaphoreUsers(set).flatMap((pid) => (pid === 0 ? [] : [{ pid, at: set.usedAt }]));
}

function usersOfQueue({ sender, sentAt, receiver, receivedAt }: QueueInfo): User[] {
  const users = [
    { pid: sender, at: sentAt },
    { pid: receiver, at: receivedAt },
  ];
  return users.filter(({ pid }) => pid !== 0);
}

/** True when the process that has this number now had it then: a later one may have got it. */
function isSame({ pid, at }: User): boolean {
  const status = processStatus(pid);
  if (status === undefined || /[ZXx]/.test(status.state)) return false;
  const upMs = Number(hostClocks().boottimeNs / 1_000_000n);
  const startMs = Date.now() - upMs + (Number(status.startTicks) * 1000) / CLOCK_TICKS_PER_SECOND;
  return startMs < (at + GRAIN_S) * 1000;
}

/** Threads of the tree that stand wait no more, and will again. */
function waitsElsewhere(set: SemaphoresInfo, waits: Waits): boolean {
  const own = waits.filter(({ kind, id }) => kind === "sem" && id === set.id).length;
  return semaphoreWaiters(set) > own;
}

function tryLook(look: () => readonly User[]): readonly User[] | null {
  try {
    return look();
  } catch (error) {
    if (isNativeError(error, "EACCES", "EPERM")) return null;
    // Removed in this instant.
    if (isNativeError(error, "EINVAL", "EIDRM") || isErrno(error, "ENOENT")) return [];
    throw error;
  }
}

function refusalOf(kind: "sem" | "msg", { id, key }: { id: number; key: number }, why: string): Refusal {
  const name = kind === "sem" ? "System V semaphores" : "a System V message queue";
  const what = `${name} (key 0x${(key >>> 0).toString(16).padStart(8, "0")}), ${why}`;
  return { kind: "ipc", id: `${kind}:${id}`, what };
}

function nameOf(pid: number): string {
  return processStatus(pid)?.comm ?? "it has just ended";
}

/**
 * What is in them, to be read in the stop. `recorded` tells the pid under which a process is saved. Undefined for none.
 */
export function captureIpc(
  { semaphores, queues }: Pick<IpcLook, "semaphores" | "queues">,
  recorded: ReadonlyMap<number, number>,
): SysvIpc | undefined {
  if (semaphores.length + queues.length === 0) return undefined;
  const pidOf = (pid: number) => recorded.get(pid) ?? 0;
  return {
    semaphores: semaphores.map(
      (set): Semaphores => ({
        ...identity(set),
        values: semaphoreValues(set),
        users: semaphoreUsers(set).map(pidOf),
      }),
    ),
    queues: queues.map((queue) => ({
      ...identity(queue),
      limitBytes: queueLimit(queue.id),
      sender: pidOf(queue.sender),
      receiver: pidOf(queue.receiver),
      messages: copyMessages(queue),
    })),
  };
}

function identity({ id, key, mode, uid, gid }: SemaphoresInfo | QueueInfo) {
  return { id, key, mode, uid, gid };
}
