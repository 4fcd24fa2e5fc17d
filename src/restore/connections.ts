/**
 * TCP connections, made again in repair mode: silent until `goOn`, so that whatever fails before leaves the peers
 * waiting, and a later restore can still go on with them.
 */
import { CrError } from "../errors.js";
import { readPadded } from "../file-bytes.js";
import { netNamespace } from "../host/net-namespace.js";
import type { FileDescription } from "../state/fd.js";
import type { ObjectOf } from "../state/kernel-object.js";
import { describeAddress } from "../state/socket-address.js";
import type { Tcp, TcpPolicy } from "../state/tcp.js";
import { removeLeftover } from "../tracee/inet-diag.js";
import { errnoName } from "../tracee/native.js";
import { ownCall, tryOwnCall } from "../tracee/own-call.js";
import { setOption } from "../tracee/socket-options.js";
import { mayRepair } from "../tracee/tcp-facts.js";
import { isHeld, releaseHeld } from "../tracee/tcp-keeper.js";
import { goOn, type Making, makeConnection, type Queues, sendRest } from "../tracee/tcp-repair.js";
import { coreOf } from "./content.js";
import { makeResetSocket } from "./reset-socket.js";

const SOCK_CLOEXEC = 0o2000000;
const SOL_SOCKET = 1;
const SO_REUSEADDR = 2;
const SHUT_WRITE = 2;
const EADDRNOTAVAIL = 99;

type Connected = ObjectOf<"socket"> & { readonly tcp: Tcp };
/** The description of a TCP connection. */
export type ConnectionRecord = FileDescription & { readonly object: Connected };

/** True for the record of a TCP connection. */
export function isConnection(one: FileDescription): one is ConnectionRecord {
  return one.object?.kind === "socket" && one.object.tcp !== null;
}

/** What becomes of each that leads outside. */
function isClosed({ tcp }: Connected, policy: TcpPolicy): boolean {
  return tcp.peer === null && policy !== "refuse" && (policy === "close" || tcp.policy === "close");
}

/**
 * Refuses what cannot be made again. FD_OUTSIDE for connections to the outside that were not kept, or are not held any
 * more; NOT_PERMITTED without CAP_NET_ADMIN.
 */
export function checkConnections(all: readonly ConnectionRecord[], policy: TcpPolicy): void {
  const lost = all.flatMap(({ object }) => {
    const why = object.tcp.peer !== null || isClosed(object, policy) ? null : whyLost(object, policy);
    return why === null ? [] : [{ object, why }];
  });
  const [first] = lost;
  if (first !== undefined) {
    const list = lost.map(({ object }) => `${localOf(object)} to ${object.tcp.far}`).join(", ");
    throw new CrError("FD_OUTSIDE", `restore TCP connections (${list}): ${first.why}`, {
      hint: "add --tcp close to let the program find them closed",
      data: { peers: lost.map(({ object }) => object.tcp.far) },
    });
  }
  const made = all.find(({ object }) => !isClosed(object, policy));
  if (made === undefined || mayRepair()) return;
  const what = `${localOf(made.object)} to ${made.object.tcp.far}`;
  throw new CrError("NOT_PERMITTED", `restore TCP connections (${what}): it needs CAP_NET_ADMIN`, {
    hint: "run cr restore as root",
  });
}

function localOf({ local }: Connected): string {
  return describeAddress(Buffer.from(local, "hex"));
}

function whyLost({ tcp: { kept } }: Connected, policy: TcpPolicy): string | null {
  if (policy === "refuse") return "--tcp refuse was given";
  if (kept === null) return "the program ran on after the checkpoint, so its peers are elsewhere by now";
  const { name, untilMs, net } = kept.hold;
  const isOver = Date.now() > untilMs || (net === netNamespace() && !isHeld(name));
  return isOver
    ? "their packets are not held any more (--tcp-hold of the checkpoint), so the peers gave up"
    : null;
}

/** What is left of the connections of the dead program (TIME_WAIT) may keep its listening sockets from their ports. */
export function clearLeftovers(all: readonly ConnectionRecord[]): void {
  for (const { object } of all) removeLeftover({ local: object.local, remote: object.remote });
}

/** Connections that wait to go on. */
export interface Connections {
  /** When nothing else can fail any more. RESTORE_FAILED. */
  goOn(): void;
}

interface MakingAll {
  readonly policy: TcpPolicy;
  readonly coreFd: number;
  put(one: ConnectionRecord, fd: number): void;
}

/** Makes all of them. RESTORE_FAILED where an address is not to be had. */
export function makeConnections(
  all: readonly ConnectionRecord[],
  { policy, coreFd, put }: MakingAll,
): Connections {
  const unsent = new Map<number, Buffer>();
  const made = new Map<number, Connected>();
  const numbers = new Map<bigint, number>();
  for (const one of all) {
    const { object } = one;
    if (isClosed(object, policy)) {
      const fd = makeResetSocket(object.family);
      put(one, fd);
      for (const option of object.options) trySet(fd, option);
      continue;
    }
    const fd = ownCall("socket", object.family, object.type | SOCK_CLOEXEC, object.protocol);
    put(one, fd);
    for (const option of object.options) setOption(fd, option);
    const queues = queuesOf(one, coreFd);
    const its = object.tcp.kept === null ? invented(one, all, numbers) : object.tcp.kept;
    makeConnection(fd, {
      ...{ numbers: its, queues, buffers: object.tcp.buffers },
      connect: connectorOf(object),
    });
    made.set(fd, object);
    unsent.set(fd, queues.sent.subarray(queues.sent.length - queues.unsentBytes));
  }
  return {
    goOn() {
      for (const name of new Set([...made.values()].flatMap(({ tcp }) => tcp.kept?.hold.name ?? [])))
        releaseHeld(name);
      for (const fd of made.keys()) goOn(fd);
      for (const [fd, object] of made) {
        // The end of repair mode clears what is set here.
        for (const option of object.options.filter(isReuse)) setOption(fd, option);
        sendRest(fd, unsent.get(fd) ?? Buffer.alloc(0));
        if (object.shutdown & SHUT_WRITE) ownCall("shutdown", fd, 1);
      }
    },
  };
}

type Option = Connected["options"][number];

function isReuse({ level, name }: Option): boolean {
  return level === SOL_SOCKET && name === SO_REUSEADDR;
}

/** A connection that is gone needs none of its settings to work. */
function trySet(fd: number, option: Option): void {
  const bytes = Buffer.from(option.value, "hex");
  tryOwnCall("setsockopt", fd, option.level, option.name, bytes, bytes.length);
}

function queuesOf({ object: { tcp }, content }: ConnectionRecord, coreFd: number): Queues {
  const bytes =
    content === null
      ? Buffer.alloc(0)
      : readPadded(coreOf(content, coreFd), content.lengthBytes, content.fileOffset);
  const end = tcp.receivedBytes + tcp.sentBytes;
  const received = bytes.subarray(0, tcp.receivedBytes);
  return { received, sent: bytes.subarray(tcp.receivedBytes, end), unsentBytes: tcp.unsentBytes };
}

/**
 * Numbers for a connection with both ends here: any will do, as long as they agree. Everything that was received is
 * behind the start, everything that was sent and has not arrived is sent anew.
 */
function invented(
  one: ConnectionRecord,
  all: readonly ConnectionRecord[],
  starts: Map<bigint, number>,
): Making["numbers"] {
  const peer = all.find(({ ino }) => ino === one.object.tcp.peer);
  const startOf = (ino: bigint) => {
    const start = starts.get(ino) ?? crypto.getRandomValues(Buffer.alloc(4)).readUInt32LE(0);
    starts.set(ino, start);
    return start;
  };
  const { receivedBytes, sentBytes } = one.object.tcp;
  const arrived = peer?.object.tcp.receivedBytes ?? 0;
  return {
    receiveSeq: (startOf(peer?.ino ?? 0n) + receivedBytes) % 2 ** 32,
    sendSeq: (startOf(one.ino) + arrived + sentBytes) % 2 ** 32,
    window: null,
  };
}

/** Binds and connects. */
function connectorOf({ local, remote }: Connected): (fd: number) => void {
  const [from, to] = [Buffer.from(local, "hex"), Buffer.from(remote, "hex")];
  return (fd) => {
    const bound = tryOwnCall("bind", fd, from, from.length);
    if (bound < 0) throw cannot("bind", describeAddress(from), -bound);
    const result = tryOwnCall("connect", fd, to, to.length);
    if (result < 0) throw cannot("connect", `${describeAddress(from)} to ${describeAddress(to)}`, -result);
  };
}

function cannot(what: "bind" | "connect", where: string, errno: number): CrError {
  const message = `${what} a TCP connection of the program again (${where}): ${errnoName(errno)}`;
  const taken = "another socket has these addresses (ss -tnp shows it): end it, or add --tcp close";
  const absent = "give this host the address and the route first (ip address add), or add --tcp close";
  return new CrError("RESTORE_FAILED", message, {
    hint: what === "bind" || errno !== EADDRNOTAVAIL ? absent : taken,
    data: { where },
  });
}
