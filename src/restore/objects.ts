/**
 * Kernel objects that need no file: made again in cr, where the program inherits them. One maker a kind; what must
 * not begin before the program does (timers, watches of folders) waits for `start`.
 */
import { closeSync } from "node:fs";
import { CrError } from "../errors.js";
import type { FileDescription } from "../state/fd.js";
import type { KernelObject, ObjectOf } from "../state/kernel-object.js";
import type { SoftError } from "../state/soft-error.js";
import type { TcpPolicy } from "../state/tcp.js";
import { isNativeError } from "../tracee/native-error.js";
import { ownCall } from "../tracee/own-call.js";
import { lookAt, openLook } from "./file-look.js";
import type { Opened } from "./fill-queues.js";
import { checkWatches, startWatches } from "./inotify.js";
import type { Pieces } from "./mapped-files.js";
import { type LateSeals, openMemfds } from "./memfd.js";
import type { FileSource } from "./open-descriptions.js";
import { type MadeFifos, openPipes } from "./pipes.js";
import { type MadeQueues, openQueues } from "./posix-queues.js";
import { excludeOthers, openPtys } from "./ptys.js";
import { openSockets, type SocketFiles } from "./sockets.js";
import { startTimerfd } from "./timerfd.js";

const O_NONBLOCK = 0o4000;
const EFD_SEMAPHORE = 1;
const SIGSET_BYTES = 8;

export interface OpenedObjects extends Disposable {
  /** By `id` of the description. */
  readonly byId: ReadonlyMap<number, FileSource>;
  readonly softErrors: readonly SoftError[];
  /** Sends what waits in sockets, once the files (`opened`) are open as well. LIMIT_TOO_LOW, CORE_CORRUPT. */
  fill(opened: Opened): void;
  /** To be called last, when nothing else can fail any more. RESTORE_FAILED, FILE_CHANGED. */
  start(): void;
}

const OBJECTS: ReadonlySet<FileDescription["kind"]> = new Set([
  ...([
    "pipe",
    "eventfd",
    "timerfd",
    "signalfd",
    "inotify",
    "memfd",
    "path",
    "pty",
    "socket",
    "queue",
  ] as const),
]);

/** True for the kinds that are made here. */
export function isObject({ kind }: FileDescription): boolean {
  return OBJECTS.has(kind);
}

/** Makes all of them. Throws LIMIT_TOO_LOW, FILE_MISSING, FILE_CHANGED or RESTORE_FAILED with nothing left open. */
export function openObjects(
  wanted: readonly FileDescription[],
  core: { readonly fd: number; readonly pieces: Pieces; readonly tcp?: TcpPolicy | undefined },
): OpenedObjects {
  const byId = new Map<number, FileSource>();
  let sockets: SocketFiles | null = null;
  const softErrors: SoftError[] = [];
  let fifos: MadeFifos | null = null;
  let queues: MadeQueues | null = null;
  let putSeals: LateSeals = () => {};
  const close = () => {
    sockets?.putBack();
    fifos?.putBack();
    queues?.putBack();
    for (const { fd } of byId.values()) closeSync(fd);
    byId.clear();
  };
  const add = ({ id }: FileDescription, fd: number, position: bigint | null) =>
    byId.set(id, { fd, position, descriptionId: id });
  const ofKind = (kind: FileDescription["kind"]) => wanted.filter((one) => one.kind === kind);
  try {
    // One that processes of a tree share; others are made by the program itself.
    for (const one of ofKind("epoll")) add(one, ownCall("epoll_create1", 0), null);
    for (const one of ofKind("path")) add(one, openPath(one), null);
    for (const one of wanted) {
      const fd = one.object === null ? null : makeOne(one, one.object);
      if (fd !== null) add(one, fd, null);
    }
    queues = openQueues(ofKind("queue"), add);
    fifos = openPipes(ofKind("pipe"), core.fd, add);
    putSeals = openMemfds(ofKind("memfd"), core, add);
    softErrors.push(...openPtys(ofKind("pty"), add));
    sockets = openSockets(ofKind("socket"), { coreFd: core.fd, tcp: core.tcp ?? "keep" }, add);
  } catch (error) {
    close();
    throw isNativeError(error) ? cannotMake(error) : error;
  }
  return {
    byId,
    softErrors,
    fill(opened) {
      try {
        sockets?.fill(new Map([...opened, ...byId]));
      } catch (error) {
        throw isNativeError(error) ? cannotMake(error) : error;
      }
    },
    start() {
      for (const { id, object } of wanted) {
        const fd = byId.get(id)?.fd;
        if (fd === undefined) continue;
        if (object?.kind === "timerfd") startTimerfd(fd, object);
        if (object?.kind === "inotify") startWatches(fd, object);
      }
      excludeOthers(wanted, (id) => byId.get(id)?.fd);
      putSeals();
      sockets?.goOn();
      sockets?.keep();
      fifos?.keep();
      queues?.start();
    },
    [Symbol.dispose]: close,
  };
}

/** An object that no other description shares; null for the kinds that are made in groups. */
function makeOne({ flags }: FileDescription, object: KernelObject): number | null {
  const wait = flags & O_NONBLOCK;
  switch (object.kind) {
    case "eventfd":
      return makeEventfd(wait, object);
    case "timerfd":
      return ownCall("timerfd_create", object.clock, wait);
    case "signalfd":
      return ownCall("signalfd4", -1, word(object.mask), SIGSET_BYTES, wait);
    case "inotify":
      checkWatches(object);
      return ownCall("inotify_init1", wait);
    default:
      return null;
  }
}

function makeEventfd(wait: number, { count, semaphore }: ObjectOf<"eventfd">): number {
  const fd = ownCall("eventfd2", 0, wait | (semaphore ? EFD_SEMAPHORE : 0));
  if (count > 0n) ownCall("write", fd, word(count), 8);
  return fd;
}

function word(value: bigint): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(value);
  return bytes;
}

function openPath(description: FileDescription): number {
  const look = lookAt(description.path);
  try {
    if (look.stat.ino !== description.ino || Number(look.stat.mode) >> 12 !== description.mode >> 12) {
      throw new CrError(
        "FILE_CHANGED",
        `restore ${look.path}: it was replaced; the program had it open (O_PATH)`,
        {
          hint: "put it back as it was",
          data: { path: look.path },
        },
      );
    }
    return openLook(look, description.flags);
  } finally {
    closeSync(look.fd);
  }
}

function cannotMake(cause: Error & { readonly errno: string }): CrError {
  const message = `make what the program's descriptors lead to: ${cause.errno}`;
  const hint =
    "raise ulimit -n, fs.inotify.max_user_instances, fs.inotify.max_user_watches and fs.pipe-max-size";
  return new CrError("LIMIT_TOO_LOW", message, { hint, cause });
}
