/**
 * Sockets: pairs with both ends inside, those without connections, and TCP connections (tcp.ts); all others are refused
 * by name.
 */
import { lstatSync } from "node:fs";
import { describeFarEnd } from "../host/descriptor-holders.js";
import type { ObjectOf } from "../state/kernel-object.js";
import type { OpenDescriptor } from "../tracee/descriptors.js";
import { withGrasp } from "../tracee/grasp.js";
import { pathInside } from "../tracee/maps.js";
import { isOfThisNetwork } from "../tracee/net-cookie.js";
import { looksElsewhere, type SocketFacts, socketFacts } from "../tracee/sockets.js";
import { type UnixSocket, unixSocket } from "../tracee/unix-diag.js";
import { pendingAt, pendingTcpAt, refusedClients, refusedTcpClients } from "./backlog.js";
import type { Sort, Surroundings } from "./objects.js";
import { ON_ITS_WAY, sortConnection } from "./tcp.js";

const AF_UNIX = 1;
const AF_INET = 2;
const AF_INET6 = 10;
const SOCK_DGRAM = 2;
const IPPROTO_UDP = 17;
const TCP_ESTABLISHED = 1;
const TCP_CLOSE = 7;
const TCP_LISTEN = 10;
/** sa_family and the first byte of a path, in hexadecimal digits. */
const FAMILY_DIGITS = 4;

type Socket = ObjectOf<"socket">;

/** What a socket is, or why it cannot be saved. */
export function sortSocket(one: OpenDescriptor, around: Surroundings): Sort {
  const holder = around.farEnds.holder(one.link);
  if (holder !== null) return refused(one, `that ${describeFarEnd(holder)}, too`);
  const facts = withGrasp(around.pid, one.fd, socketFacts);
  if (!withGrasp(around.pid, one.fd, isOfThisNetwork)) return refused(one, "of another network namespace");
  if (facts.filtered) return refused(one, "with a filter (SO_ATTACH_FILTER)");
  if (facts.family === AF_UNIX) return sortUnix(one, facts, around);
  if (facts.family === AF_INET || facts.family === AF_INET6) return sortInternet(one, facts, around);
  return refused(one, `of the address family ${facts.family}`);
}

function refused({ link }: OpenDescriptor, what: string): Sort {
  return { refused: `a socket (${link}) ${what}` };
}

function sortInternet(one: OpenDescriptor, facts: SocketFacts, around: Surroundings): Sort {
  if (facts.tcp !== null) {
    const { state, backlog } = facts.tcp;
    const clients = state === TCP_LISTEN ? refusedTcpClients(facts, around) : null;
    if (clients !== null) return refused(one, clients);
    if (state !== TCP_LISTEN && state !== TCP_CLOSE) {
      if (withGrasp(around.pid, one.fd, looksElsewhere)) return refused(one, "with SO_PEEK_OFF set (TCP)");
      const pending = pendingTcpAt(facts, around);
      if (pending !== null) return keep(facts, { pending });
      const connection = sortConnection(one, facts, around);
      if (typeof connection !== "string") return keep(facts, connection);
      return { ...refused(one, connection), passing: connection === ON_ITS_WAY };
    }
    return keep(facts, { backlog: state === TCP_LISTEN ? backlog : null });
  }
  if (facts.protocol !== IPPROTO_UDP) return refused(one, `of the protocol ${facts.protocol}`);
  return keep(facts, {});
}

function sortUnix(one: OpenDescriptor, facts: SocketFacts, around: Surroundings): Sort {
  const { pid, open } = around;
  const told = unixSocket(one.stat.ino);
  if (told === null)
    return refused(one, "of which the kernel does not tell the other end (CONFIG_UNIX_DIAG)");
  const file = fileOf(pid, facts, told);
  if (typeof file === "string") return refused(one, file);
  if (told.state === TCP_LISTEN) {
    const clients = refusedClients(one, told, around);
    if (clients !== null) return refused(one, clients);
    return keep(facts, { backlog: told.backlog, file });
  }
  const isPair = told.peer !== null && open.some(({ stat }) => stat.isSocket() && stat.ino === told.peer);
  if (isPair) {
    if (!isNamed(facts.local) && !isNamed(facts.remote))
      return keep({ ...facts, local: "", remote: "" }, { peer: told.peer, shutdown: told.shutdown });
    const what = refusedNames(facts, told, open);
    return what === null ? keep(facts, { peer: told.peer, shutdown: told.shutdown }) : refused(one, what);
  }
  const isAddressed = facts.type === SOCK_DGRAM && (isNamed(facts.local) || isNamed(facts.remote));
  if (told.peer === null && told.state === TCP_ESTABLISHED && !isAddressed)
    return sortWidowed(one, { facts, told, around });
  if (facts.type === SOCK_DGRAM) {
    if (facts.readable) return refused(one, "with unread messages (unix)");
    if (told.peer !== null && !isNamed(facts.remote))
      return refused(one, "whose other end is not in it (unix)");
    return keep(facts, { file, shutdown: told.shutdown });
  }
  if (told.peer !== null || told.state !== TCP_CLOSE)
    return refused(one, "whose other end is not in it (unix)");
  return told.shutdown === 0 ? keep(facts, { file }) : refused(one, "whose other end is closed (unix)");
}

/** A pair with a name was made by connecting to it, which can be done again where somebody in the program listens. */
function refusedNames(facts: SocketFacts, told: UnixSocket, open: readonly OpenDescriptor[]): string | null {
  if (facts.type === SOCK_DGRAM) return "of a pair with a name (unix, datagrams)";
  if (isNamed(facts.local) && isNamed(facts.remote)) return "of a pair with two names (unix)";
  const name = isNamed(facts.local) ? told.name : unixSocket(told.peer ?? 0n)?.name;
  return isListened(name, open)
    ? null
    : "of a connection to a name where nobody in it listens any more (unix)";
}

/** Whether somebody in the program listens at this name (hexadecimal, without the family). */
function isListened(name: string | undefined, open: readonly OpenDescriptor[]): boolean {
  return open.some(({ stat }) => {
    const other = stat.isSocket() ? unixSocket(stat.ino) : null;
    return other?.state === TCP_LISTEN && other.name === name;
  });
}

/** Nobody has the other end, which is closed, unless it waits to be accepted: this one reads as ended and cannot be written to (the JVM keeps such a one). */
function sortWidowed(
  one: OpenDescriptor,
  {
    facts,
    told: { shutdown },
    around,
  }: { readonly facts: SocketFacts; readonly told: UnixSocket; readonly around: Surroundings },
): Sort {
  const pending = isNamed(facts.local) ? null : pendingAt(one, facts.remote, around);
  if (pending !== null) return keep(facts, { pending, shutdown });
  if (isNamed(facts.local) || isNamed(facts.remote)) {
    const name = isNamed(facts.local) ? facts.local : facts.remote;
    const isOne = !isNamed(facts.local) || !isNamed(facts.remote);
    if (!isOne || !isListened(name.slice(FAMILY_DIGITS), around.open))
      return refused(one, "whose other end is closed (unix)");
    return keep(facts, { peerClosed: true, peerReset: facts.failed, shutdown });
  }
  // A stream alone may have it behind bytes; other errors are none of an end that was closed.
  if (facts.failed && facts.type === SOCK_DGRAM)
    return refused(one, "with an error that waits (unix, SO_ERROR)");
  return keep({ ...facts, local: "", remote: "" }, { peerClosed: true, peerReset: facts.failed, shutdown });
}

function isNamed(address: string): boolean {
  return address.length > FAMILY_DIGITS;
}

/** The file of a bound socket, null without one; what is wrong with it as a string. */
function fileOf(pid: number, { local }: SocketFacts, { file }: UnixSocket): Socket["file"] | string {
  if (file === null) return null;
  const path = Buffer.from(local, "hex").subarray(2).toString("utf8").replace(/\0.*$/s, "");
  if (!path.startsWith("/")) return `that is bound to a relative path (${path})`;
  const stat = lstatSync(pathInside(pid, path), { bigint: true, throwIfNoEntry: false });
  // The kernel tells 32 bits of the inode.
  if (stat === undefined || BigInt.asUintN(32, stat.ino) !== file)
    return `that is bound to ${path}, which is gone`;
  return { path, ino: stat.ino, mode: Number(stat.mode), uid: Number(stat.uid), gid: Number(stat.gid) };
}

function keep(facts: SocketFacts, more: Partial<Socket>): Sort {
  const { family, type, protocol, local, remote, peerUser, options } = facts;
  const plain = {
    peer: null,
    pending: null,
    peerClosed: false,
    peerReset: false,
    shutdown: 0,
    file: null,
    backlog: null,
  };
  const socket = {
    family,
    type,
    protocol,
    local,
    remote,
    peerUser,
    options: [...options],
    ...plain,
    tcp: null,
    queue: null,
    ...more,
  };
  return { kind: "socket", object: { kind: "socket", ...socket } };
}
