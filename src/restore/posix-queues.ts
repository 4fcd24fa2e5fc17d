/** POSIX message queues, empty at the checkpoint: opened by name, or made again; what came since is taken out last. */
import { closeSync, fchmodSync, fchownSync, fstatSync } from "node:fs";
import { CrError } from "../errors.js";
import { describeFarEnd, holdersOf } from "../host/descriptor-holders.js";
import type { FileDescription } from "../state/fd.js";
import type { ObjectOf } from "../state/kernel-object.js";
import { emptyQueue, makeQueue, openQueue, queueAttributes, unlinkQueue } from "../tracee/posix-queue.js";

const O_CREAT = 0o100;
const O_EXCL = 0o200;
const O_ACCMODE = 0o3;
const O_NONBLOCK = 0o4000;
const PERMISSIONS = 0o777;

export interface MadeQueues {
  /** Takes out what the dead program had sent since. */
  start(): void;
  /** Removes the names that were made, unless `start` was called. */
  putBack(): void;
}

/** Opens all; `add` takes the descriptors. FILE_CHANGED where one is another or somebody else has it open; `NativeError`. */
export function openQueues(
  wanted: readonly FileDescription[],
  add: (one: FileDescription, fd: number, position: null) => void,
): MadeQueues {
  const made = new Set<string>();
  const putBack = () => {
    for (const name of made) unlinkQueue(name);
    made.clear();
  };
  try {
    for (const one of wanted) {
      const { object, path } = one;
      if (object?.kind !== "queue") continue;
      const flags = one.flags & (O_ACCMODE | O_NONBLOCK);
      const found = openQueue(path, flags);
      if (found >= 0) add(one, found, null);
      if (found >= 0 && !made.has(path)) requireSame(found, one, object);
      if (found < 0) {
        add(one, makeAgain(one, object), null);
        made.add(path);
      }
    }
  } catch (error) {
    putBack();
    throw error;
  }
  return {
    start() {
      for (const path of new Set(wanted.map((one) => one.path))) if (!made.has(path)) emptyQueue(path);
      made.clear();
    },
    putBack,
  };
}

function makeAgain({ path, flags, mode, uid, gid }: FileDescription, object: ObjectOf<"queue">): number {
  const permissions = mode & PERMISSIONS;
  const kept = flags & (O_ACCMODE | O_NONBLOCK);
  const fd = makeQueue(path, kept | O_CREAT | O_EXCL, { ...object, mode: permissions });
  try {
    const stat = fstatSync(fd);
    if (stat.uid !== uid || stat.gid !== gid) fchownSync(fd, uid, gid);
    fchmodSync(fd, permissions);
    return fd;
  } catch (error) {
    closeSync(fd);
    unlinkQueue(path);
    throw error;
  }
}

function requireSame(fd: number, { path }: FileDescription, wanted: ObjectOf<"queue">): void {
  const { maxMessages, messageBytes } = queueAttributes(fd);
  if (maxMessages !== wanted.maxMessages || messageBytes !== wanted.messageBytes) {
    throw changed(path, `it is for ${maxMessages} messages of ${messageBytes} bytes now`);
  }
  const holder = holdersOf(new Set([path]), [process.pid]).get(path);
  if (holder !== undefined) throw changed(path, describeFarEnd(holder));
}

function changed(path: string, what: string): CrError {
  return new CrError("FILE_CHANGED", `restore the message queue ${path}: ${what}`, {
    hint: "end what uses it, or remove it (rm /dev/mqueue/NAME), and try again",
    data: { path },
  });
}
