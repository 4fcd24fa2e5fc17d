/**
 * System V semaphores and message queues: taken as they are when only the dead program used them, else made again under
 * their id and key. Each member puts back itself what it was the last to do, so that the kernel names it again.
 */
import { CrError, isErrno } from "../errors.js";
import { processStatus } from "../host/process-status.js";
import type { ProcessState } from "../state/process.js";
import type { SoftError } from "../state/soft-error.js";
import type { Queue, Semaphores, SysvIpc } from "../state/sysv-ipc.js";
import { isNativeError } from "../tracee/native-error.js";
import type { RemoteCall } from "../tracee/remote.js";
import {
  copyMessages,
  type Message,
  makeIpc,
  readQueues,
  readSemaphores,
  removeIpc,
  semaphoreUsers,
  semaphoreValues,
  semaphoreWaiters,
  sendMessage,
  setSemaphore,
  takeMessages,
} from "../tracee/sysv-ipc.js";
import { type Progress, redoQueue, sendAll, senderOf } from "./message-queues.js";
import type { Workshop } from "./workshop.js";

const SETVAL = 16;

export interface OpenedIpc extends Disposable {
  readonly softErrors: readonly SoftError[];
  /** Lets a newborn do again what the member recorded as `pid` had done last; RESTORE_FAILED. */
  redo(workshop: Workshop, pid: number): void;
  /** Puts back what no member had done. */
  rollBack(): void;
  /** They are the program's from now on; until then disposing puts back what was found. */
  keep(): void;
}

/** One that was found or made, and how it was then; null for a new one. */
type Opened =
  | { readonly kind: "sem"; readonly is: Semaphores; readonly was: readonly number[] | null }
  | { readonly kind: "msg"; readonly is: Queue; readonly was: readonly Message[] | null };

/**
 * Takes or makes all of them. FILE_CHANGED when somebody else uses one or its id or key, NOT_PERMITTED when one cannot
 * be made again; then all are as they were. `members` are the pids of those that are restored with them.
 */
export function openIpc(
  { files, process }: Pick<ProcessState, "files" | "process">,
  members: readonly number[],
): OpenedIpc {
  const { semaphores, queues }: SysvIpc = files.ipc ?? { semaphores: [], queues: [] };
  const isNew = process.spaces?.ipc !== undefined;
  const opened: Opened[] = [];
  const progress = new Map<number, Progress>();
  let kept = false;
  const undo = () => {
    for (const one of kept ? [] : opened.splice(0)) putBackAsFound(one, progress);
  };
  try {
    for (const is of semaphores) opened.push({ kind: "sem", is, was: foundSemaphores(is) });
    for (const is of queues) opened.push({ kind: "msg", is, was: foundQueue(is) });
  } catch (error) {
    undo();
    throw error;
  }
  return {
    softErrors: isNew ? [] : opened.filter(({ was }) => was === null).map(remark),
    redo(workshop, pid) {
      for (const one of opened) {
        if (one.kind === "sem") redoSemaphores(workshop, one.is, pid);
        else redoQueue(workshop, one.is, { pid, members, progress });
      }
    },
    rollBack() {
      for (const one of opened) {
        if (one.kind === "sem") setOthers(one.is, members);
        else if (!members.includes(senderOf(one.is))) sendAll(one.is, progress);
      }
    },
    keep() {
      kept = true;
    },
    [Symbol.dispose]: undo,
  };
}

function foundSemaphores(is: Semaphores): number[] | null {
  const now = readSemaphores().find(({ id }) => id === is.id);
  if (now === undefined) return made("sem", is, { ...is, count: is.values.length });
  if (now.key !== is.key || now.count !== is.values.length) {
    throw changed("sem", is, `another set has its id (key ${keyOf(now.key)}, ${now.count} semaphores)`);
  }
  requireUnused(
    "sem",
    is,
    permitted("sem", is, () => semaphoreUsers(now)),
  );
  if (semaphoreWaiters(now) > 0) throw changed("sem", is, "somebody else waits for them");
  return semaphoreValues(now);
}

function foundQueue(is: Queue): Message[] | null {
  const now = readQueues().find(({ id }) => id === is.id);
  if (now === undefined) return made("msg", is, is);
  if (now.key !== is.key) throw changed("msg", is, `another queue has its id (key ${keyOf(now.key)})`);
  requireUnused("msg", is, [now.sender, now.receiver]);
  return permitted("msg", is, () => copyMessages(now));
}

/** The dead program is the only user: of whoever was the last to use it nobody lives. */
function requireUnused(kind: "sem" | "msg", is: Semaphores | Queue, users: readonly number[]): void {
  const user = users.find((pid) => pid !== 0 && /^[^ZXx]$/.test(processStatus(pid)?.state ?? "Z"));
  if (user === undefined) return;
  throw changed(kind, is, `process ${user} (${processStatus(user)?.comm}) uses it, too`);
}

function made(kind: "sem" | "msg", is: Semaphores | Queue, wanted: Parameters<typeof makeIpc>[1]): null {
  try {
    if (makeIpc(kind, wanted) === null) throw changed(kind, is, "its place in the kernel's table is taken");
    return null;
  } catch (error) {
    if (isNativeError(error, "EEXIST")) throw changed(kind, is, "another one has its key");
    if (isErrno(error, "EACCES", "EPERM", "ENOENT") || isNativeError(error, "EPERM", "EACCES")) {
      throw notPermitted(kind, is, { what: "it is gone, and only the id it had will do", cause: error });
    }
    if (isNativeError(error)) throw changed(kind, is, `it cannot be made again (${error.errno})`);
    throw error;
  }
}

function permitted<T>(kind: "sem" | "msg", is: Semaphores | Queue, look: () => T): T {
  try {
    return look();
  } catch (error) {
    if (!isNativeError(error, "EACCES", "EPERM")) throw error;
    throw notPermitted(kind, is, { what: "its content has to be compared", cause: error });
  }
}

function redoSemaphores(workshop: Workshop, { id, values, users }: Semaphores, pid: number): void {
  const calls = values.flatMap((value, index): RemoteCall[] =>
    users[index] === pid ? [{ name: "semctl", args: [id, index, SETVAL, value] }] : [],
  );
  workshop.run(`put back its System V semaphores ${id}`, calls);
}

/** Semaphores whose last user is no member any more: where the value is another one. */
function setOthers({ id, values, users }: Semaphores, members: readonly number[]): void {
  const now = semaphoreValues({ id, count: values.length });
  values.forEach((value, index) => {
    if (!members.includes(users[index] ?? 0) && now[index] !== value) setSemaphore(id, index, value);
  });
}

function putBackAsFound(one: Opened, progress: ReadonlyMap<number, Progress>): void {
  const { id } = one.is;
  if (one.was === null) {
    removeIpc(one.kind, id);
  } else if (one.kind === "sem") {
    const now = semaphoreValues({ id, count: one.was.length });
    one.was.forEach((value, index) => {
      if (now[index] !== value) setSemaphore(id, index, value);
    });
  } else if (progress.has(id)) {
    takeMessages(one.is);
    for (const message of one.was) sendMessage(id, message);
  }
}

function keyOf(key: number): string {
  return `0x${(key >>> 0).toString(16).padStart(8, "0")}`;
}

function nameOf(kind: "sem" | "msg", { id, key }: Semaphores | Queue): string {
  return `the System V ${kind === "sem" ? "semaphores" : "message queue"} ${id} (key ${keyOf(key)})`;
}

function remark({ kind, is }: Opened): SoftError {
  const message = `${nameOf(kind, is)}: gone, and made again; its creator is cr`;
  return { kind: "ipc", id: `${kind}:${is.id}`, message };
}

function changed(kind: "sem" | "msg", is: Semaphores | Queue, what: string): CrError {
  const flag = kind === "sem" ? "s" : "q";
  return new CrError("FILE_CHANGED", `restore ${nameOf(kind, is)}: ${what}`, {
    hint: `end what uses it (ipcs -${flag} lists, ipcrm -${flag} ${is.id} removes it), and try again`,
    data: { id: is.id, key: is.key },
  });
}

function notPermitted(
  kind: "sem" | "msg",
  is: Semaphores | Queue,
  { what, cause }: { readonly what: string; readonly cause: unknown },
): CrError {
  const message = `restore ${nameOf(kind, is)}: ${what}, which cr may not do`;
  return new CrError("NOT_PERMITTED", message, { hint: "run cr with CAP_CHECKPOINT_RESTORE", cause });
}
