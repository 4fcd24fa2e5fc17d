/**
 * Sockets: pairs with both ends inside, those without connections, and TCP connections (tcp.ts); all others are refused
 * by name.
 */
import { lstatSync } from "node:fs";
import { describeFarEnd } from "../host/descriptor-holders.js";
import type { KernelObject, ObjectOf } from "../state/kernel-object.js";
import type { OpenDescriptor } from "../tracee/descriptors.js";
import { passedDescriptors } from "../tracee/fdinfo.js";
import { withGrasp } from "../tracee/grasp.js";
import { pathInside } from "../tracee/maps.js";
import { isOfThisNetwork } from "../tracee/net-cookie.js";
import { accountOf, peekSocket, type SocketFacts, socketFacts, unreadByPeer } from "../tracee/sockets.js";
import { type UnixSocket, unixSocket } from "../tracee/unix-diag.js";
import type { Sort, Surroundings } from "./objects.js";
import { sortConnection } from "./tcp.js";

const AF_UNIX = 1;
const AF_INET = 2;
const AF_INET6 = 10;
const SOCK_STREAM = 1;
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
    const { state, waiting, backlog } = facts.tcp;
    if (state === TCP_LISTEN && waiting > 0)
      return refused(one, `with ${waiting} connections to accept (TCP)`);
    if (state !== TCP_LISTEN && state !== TCP_CLOSE) {
      const connection = sortConnection(one, facts, around);
      return typeof connection === "string" ? refused(one, connection) : keep(facts, connection);
    }
    return keep(facts, { backlog: state === TCP_LISTEN ? backlog : null });
  }
  if (facts.protocol !== IPPROTO_UDP) return refused(one, `of the protocol ${facts.protocol}`);
  if (facts.received > 0) return refused(one, "with unread messages (UDP)");
  return keep(facts, {});
}

function sortUnix(one: OpenDescriptor, facts: SocketFacts, { pid, open }: Surroundings): Sort {
  const told = unixSocket(one.stat.ino);
  if (told === null)
    return refused(one, "of which the kernel does not tell the other end (CONFIG_UNIX_DIAG)");
  const passed = passedDescriptors(one.info);
  if (passed > 0) return refused(one, `with ${passed} descriptors on their way (SCM_RIGHTS)`);
  const file = fileOf(pid, facts, told);
  if (typeof file === "string") return refused(one, file);
  if (told.state === TCP_LISTEN) {
    if (told.waiting > 0) return refused(one, `with ${told.waiting} connections to accept`);
    return keep(facts, { backlog: told.backlog, file });
  }
  const isPair = told.peer !== null && open.some(({ stat }) => stat.isSocket() && stat.ino === told.peer);
  if (isPair) {
    if (!isNamed(facts.local) && !isNamed(facts.remote))
      return keep({ ...facts, local: "", remote: "" }, { peer: told.peer, shutdown: told.shutdown });
    const what = refusedNames(facts, told, open);
    return what === null ? keep(facts, { peer: told.peer, shutdown: told.shutdown }) : refused(one, what);
  }
  if (facts.type === SOCK_DGRAM) {
    if (facts.readable) return refused(one, "with unread messages (unix)");
    if (told.peer !== null && !isNamed(facts.remote))
      return refused(one, "whose other end is not in it (unix)");
    return keep(facts, { file, shutdown: told.shutdown });
  }
  if (told.peer === null && told.state === TCP_ESTABLISHED) return sortWidowed(one, { facts, told, pid });
  if (told.peer !== null || told.state !== TCP_CLOSE)
    return refused(one, "whose other end is not in it (unix)");
  return told.shutdown === 0 ? keep(facts, { file }) : refused(one, "whose other end is closed (unix)");
}

/** A pair with a name was made by connecting to it, which can be done again where somebody in the program listens. */
function refusedNames(facts: SocketFacts, told: UnixSocket, open: readonly OpenDescriptor[]): string | null {
  if (facts.type === SOCK_DGRAM) return "of a pair with a name (unix, datagrams)";
  if (isNamed(facts.local) && isNamed(facts.remote)) return "of a pair with two names (unix)";
  const name = isNamed(facts.local) ? told.name : unixSocket(told.peer ?? 0n)?.name;
  const isListened = open.some(({ stat }) => {
    const other = stat.isSocket() ? unixSocket(stat.ino) : null;
    return other?.state === TCP_LISTEN && other.name === name;
  });
  return isListened ? null : "of a connection to a name where nobody in it listens any more (unix)";
}

/** The other end of a pair is closed: this one reads as ended and cannot be written to (the JVM keeps such a one). */
function sortWidowed(
  one: OpenDescriptor,
  { facts, told, pid }: { readonly facts: SocketFacts; readonly told: UnixSocket; readonly pid: number },
): Sort {
  if (isNamed(facts.local) || isNamed(facts.remote)) return refused(one, "whose other end is closed (unix)");
  const { expected } = withGrasp(pid, one.fd, peekSocket);
  if (expected > 0) return refused(one, `whose other end is closed, with ${expected} unread bytes (unix)`);
  return keep({ ...facts, local: "", remote: "" }, { peerClosed: true, shutdown: told.shutdown });
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
  const plain = { peer: null, peerClosed: false, shutdown: 0, file: null, backlog: null, tcp: null };
  const socket = {
    family,
    type,
    protocol,
    local,
    remote,
    peerUser,
    options: [...options],
    ...plain,
    ...more,
  };
  return { kind: "socket", object: { kind: "socket", ...socket } };
}

/** The bytes or the one message that wait in one end of a pair; null when nothing does, a string when it cannot be had. */
export function queuedIn(
  pid: number,
  {
    fd,
    peerPid,
    peerFd,
    object,
  }: {
    readonly fd: number;
    readonly peerPid: number;
    readonly peerFd: number;
    readonly object: KernelObject;
  },
): Buffer | null | string {
  if (object.kind !== "socket") return null;
  const account = withGrasp(peerPid, peerFd, unreadByPeer);
  if (account === 0) return null;
  const { bytes, expected } = withGrasp(pid, fd, peekSocket);
  if (object.type === SOCK_STREAM) {
    return bytes.length === expected ? bytes : `${expected} unread bytes that cannot be seen whole`;
  }
  const { family, type, protocol } = object;
  const alone = accountOf(bytes, [family, type, protocol]);
  return account === alone ? bytes : "more than one unread message";
}
