/**
 * Sockets whose queues only a reader can tell (native/peek/): it is asked while all processes stand, and a SIGSTOP waits
 * for each of them meanwhile, so that none runs even if cr dies in that instant. It is taken back right after.
 */
import { faultPoint } from "../fault.js";
import type { FileDescription } from "../state/fd.js";
import type { Message, ObjectOf } from "../state/kernel-object.js";
import { type OpenDescriptor, readDescriptors } from "../tracee/descriptors.js";
import { type Peeked, QueueReader, ReaderFailed } from "../tracee/queue-reader.js";
import { firstSame } from "../tracee/same.js";
import { takeBackStop } from "./ask.js";
import type { Frozen } from "./frozen.js";
import type { TreeLook } from "./look.js";
import { type HeldSocket, missing, type Sockets, socketsOf, type Waiting, wantsReader } from "./queues.js";

const EIO = "EIO";
/** Kinds that are opened before the program is made, so that they can be sent again. */
const SENDABLE: ReadonlySet<FileDescription["kind"]> = new Set([
  ...([
    "regular",
    "directory",
    "device",
    "pipe",
    "eventfd",
    "timerfd",
    "signalfd",
    "memfd",
    "socket",
  ] as const),
]);

type Socket = ObjectOf<"socket">;
type Wanted = HeldSocket & { readonly ino: bigint; readonly object: Socket };

/** `sockets` with what was read of those that need it. NativeError where a process has just been killed. */
export function readQueues(members: readonly Frozen[], sockets: Sockets): Sockets {
  const wanted = wantedOf(members, sockets);
  if (wanted.length === 0) return sockets;
  const running = members.filter(({ tracee }) => tracee.stopSignal === 0);
  const all = new Map(sockets);
  using reader = startReader(wanted, running);
  const queues = reader === null ? [] : readStopped(reader, { wanted, running });
  const passed = reader === null ? [] : readDescriptors(reader.pid);
  for (const [index, one] of wanted.entries()) {
    const found = queues[index];
    const queue =
      found === undefined || typeof found === "string"
        ? unreadable(found)
        : wholeOf(one, { found, sockets }, { members, passed, reader: reader?.pid ?? 0 });
    all.set(one.ino, { ...one, queue });
  }
  return all;
}

/** The sockets that the members hold. */
export function socketsIn({ looks }: TreeLook): Sockets {
  return socketsOf([...looks].map(([pid, { files }]) => [pid, files] as const));
}

function wantedOf(members: readonly Frozen[], sockets: Sockets): Wanted[] {
  const wanted = new Map<bigint, Wanted>();
  for (const { look } of members) {
    for (const { ino, object } of look.files.descriptions) {
      const held = sockets.get(ino);
      if (object?.kind !== "socket" || held === undefined || wanted.has(ino)) continue;
      if (wantsReader(held, object, sockets)) wanted.set(ino, { ...held, ino, object });
    }
  }
  return [...wanted.values()];
}

/** Queues with empty messages: who has looked at such a one behind another does not see it a second time. */
const seenFirst = new Map<bigint, readonly Peeked[]>();

/** What was found, or with the empty messages that an earlier look has found, if that is all that the kernel counts. */
function wholeOf(
  one: Wanted,
  { found, sockets }: { readonly found: readonly Peeked[]; readonly sockets: Sockets },
  passing: Passing,
): Waiting | string {
  const why = missing(one, { object: one.object, queue: found, sockets });
  if (why === null) {
    const isToKeep = found.some(isEmpty) && found.every(({ fds }) => fds.length === 0);
    if (isToKeep) seenFirst.set(one.ino, found);
    return asWaiting(found, passing);
  }
  const earlier = seenFirst.get(one.ino) ?? [];
  if (contentOf(earlier) !== contentOf(found)) return why;
  return missing(one, { object: one.object, queue: earlier, sockets }) ?? asWaiting(earlier, passing);
}

function isEmpty({ bytes }: Peeked): boolean {
  return bytes.length === 0;
}

/** All but the empty messages. */
function contentOf(queue: readonly Peeked[]): string {
  const messages = queue.filter((one) => !isEmpty(one));
  return messages.map(({ bytes, from, fds }) => `${from} ${fds} ${bytes.toString("hex")}`).join("\n");
}

function startReader(wanted: readonly Wanted[], running: readonly Frozen[]): QueueReader | null {
  try {
    return QueueReader.start(
      wanted,
      running.map(({ tracee }) => tracee.pid),
    );
  } catch (error) {
    if (error instanceof ReaderFailed) return null;
    throw error;
  }
}

/** Empty when the reader ended; the SIGSTOPs are taken back in any case. */
function readStopped(
  reader: QueueReader,
  { wanted, running }: { readonly wanted: readonly Wanted[]; readonly running: readonly Frozen[] },
): ReturnType<QueueReader["read"]> {
  try {
    try {
      const queues = reader.read(wanted.length);
      faultPoint("in-queues");
      return queues;
    } finally {
      for (const frozen of running) takeBackStop(frozen);
      reader.stopsTakenBack();
    }
  } catch (error) {
    if (error instanceof ReaderFailed) return [];
    throw error;
  }
}

function unreadable(why: string | undefined): string {
  if (why === EIO) return "unread messages behind an error that waits (SO_ERROR)";
  return `unread messages that cannot be read (${why ?? "cr-peek ended"})`;
}

interface Passing {
  readonly members: readonly Frozen[];
  /** What the reader has open, and its pid. */
  readonly passed: readonly OpenDescriptor[];
  readonly reader: number;
}

function asWaiting(queue: readonly Peeked[], passing: Passing): Waiting | string {
  const messages: Message[] = [];
  for (const { bytes, from, fds } of queue) {
    const ids = fds.map((fd) => idOf(fd, passing));
    const lost = ids.find((id) => typeof id === "string");
    if (typeof lost === "string") return lost;
    messages.push({ bytes: bytes.length, from, passed: ids.filter((id) => typeof id === "number") });
  }
  return { bytes: Buffer.concat(queue.map(({ bytes }) => bytes)), messages };
}

/** The description of the tree that is on its way, or why it cannot be sent again. */
function idOf(fd: number, { members, passed, reader }: Passing): number | string {
  const mine = passed.find((one) => one.fd === fd);
  const alike = members.flatMap(({ tracee: { pid }, look }) =>
    look.facts.descriptors
      .filter(({ stat }) => stat.ino === mine?.stat.ino && stat.dev === mine.stat.dev)
      .map((one) => ({ pid, fd: one.fd, link: one.link, files: look.files })),
  );
  const first = firstSame("file", [{ pid: reader, fd }, ...alike]);
  const same = alike.find((_, index) => first[index + 1] === 0);
  if (same === undefined)
    return `a descriptor on its way (SCM_RIGHTS) of ${mine?.link ?? "something"}, which nobody in it has open`;
  const id = same.files.descriptors.find((each) => each.fd === same.fd)?.description;
  const description = same.files.descriptions.find((each) => each.id === id);
  if (description !== undefined && SENDABLE.has(description.kind)) return description.id;
  return `a descriptor on its way (SCM_RIGHTS) of ${same.link}, which cannot be sent again`;
}
