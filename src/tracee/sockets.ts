/** What a holder of a socket can ask the kernel about it; nothing here takes anything out of a socket. */
import { closeSync } from "node:fs";
import { isNativeError } from "./native-error.js";
import { type OwnCallName, ownCall, tryOwnCall } from "./own-call.js";
import { changedOptions, getOption, hasFilter, type SocketOption } from "./socket-options.js";

const AF_UNIX = 1;
const SOCK_STREAM = 1;
const SOCK_DGRAM = 2;
const SOL_SOCKET = 1;
const SO_TYPE = 3;
const SO_RCVBUF = 8;
const SO_PEERCRED = 17;
const SO_RCVBUFFORCE = 33;
const SO_ACCEPTCONN = 30;
const SO_PROTOCOL = 38;
const SO_DOMAIN = 39;
const SO_PEEK_OFF = 42;
const SO_MEMINFO = 55;
const IPPROTO_TCP = 6;
const TCP_INFO = 11;
/** Of struct tcp_info: tcpi_state, and for a listening socket the accept queue and its length. */
const TCP_WAITING_AT = 24;
const TCP_BACKLOG_AT = 28;
const ADDRESS_BYTES = 128;
const FIONREAD = 0x541b;
const SIOCOUTQ = 0x5411;
const POLLIN = 1;
const POLLERR = 8;
const MSG_DONTWAIT = 0x40;
const MSG_PEEK_DONTWAIT = 0x02 | MSG_DONTWAIT;
const SOCK_CLOEXEC = 0o2000000;

export interface SocketFacts {
  readonly family: number;
  readonly type: number;
  readonly protocol: number;
  readonly listens: boolean;
  /** struct sockaddr, in hexadecimal; empty when it has none. */
  readonly local: string;
  readonly remote: string;
  /** Of TCP sockets: 7 closed, 10 listening; and the queue of a listening one. */
  readonly tcp: { readonly state: number; readonly waiting: number; readonly backlog: number } | null;
  /** Bytes of memory that received data takes. */
  readonly received: number;
  /** A read would find something, or an end. */
  readonly readable: boolean;
  /** An error waits (SO_ERROR), which the next call takes. */
  readonly failed: boolean;
  /** Whom SO_PEERCRED tells; null for nobody. */
  readonly peerUser: { readonly uid: number; readonly gid: number } | null;
  readonly options: readonly SocketOption[];
  readonly filtered: boolean;
}

/** Asks all about the socket behind cr's descriptor. */
export function socketFacts(fd: number): SocketFacts {
  const [family, type, protocol] = [number(fd, SO_DOMAIN), number(fd, SO_TYPE), number(fd, SO_PROTOCOL)];
  return {
    family,
    type,
    protocol,
    listens: number(fd, SO_ACCEPTCONN) !== 0,
    local: address(fd, "getsockname"),
    remote: address(fd, "getpeername"),
    tcp: protocol === IPPROTO_TCP ? tcpOf(fd) : null,
    received: receivedMemory(fd),
    readable: polled(fd, POLLIN),
    failed: polled(fd, POLLERR),
    peerUser: family === AF_UNIX ? peerUserOf(fd) : null,
    options: changedOptions(fd, [family, type, protocol]),
    filtered: hasFilter(fd),
  };
}

function number(fd: number, name: number): number {
  const value = getOption(fd, SOL_SOCKET, name);
  return value === null || value.length < 4 ? 0 : value.readInt32LE(0);
}

function address(fd: number, which: OwnCallName): string {
  const bytes = Buffer.alloc(ADDRESS_BYTES);
  const length = Buffer.alloc(4);
  length.writeInt32LE(ADDRESS_BYTES);
  try {
    ownCall(which, fd, bytes, length);
  } catch (error) {
    if (isNativeError(error)) return "";
    throw error;
  }
  return bytes.subarray(0, Math.min(length.readInt32LE(), ADDRESS_BYTES)).toString("hex");
}

function tcpOf(fd: number): SocketFacts["tcp"] {
  const info = getOption(fd, IPPROTO_TCP, TCP_INFO);
  if (info === null || info.length < TCP_BACKLOG_AT + 4) return null;
  return {
    state: info.readUInt8(0),
    waiting: info.readUInt32LE(TCP_WAITING_AT),
    backlog: info.readUInt32LE(TCP_BACKLOG_AT),
  };
}

/** Of struct ucred: pid, uid, gid. */
function peerUserOf(fd: number): SocketFacts["peerUser"] {
  const told = getOption(fd, SOL_SOCKET, SO_PEERCRED);
  if (told === null || told.length < 12 || told.readInt32LE(4) === -1) return null;
  return { uid: told.readUInt32LE(4), gid: told.readUInt32LE(8) };
}

/** Whether poll(2) tells this event. */
function polled(fd: number, event: number): boolean {
  const poll = Buffer.alloc(8);
  poll.writeInt32LE(fd, 0);
  poll.writeInt16LE(event, 4);
  ownCall("poll", poll, 1, 0);
  return (poll.readInt16LE(6) & event) !== 0;
}

/** Whether a message waits, an empty one included, or an end. */
export function isReadable(fd: number): boolean {
  return polled(fd, POLLIN);
}

/** Bytes of memory that received data takes (SO_MEMINFO); unix sockets have none. */
export function receivedMemory(fd: number): number {
  return number(fd, SO_MEMINFO);
}

/** Bytes that a socket has sent and nobody has read, as the kernel accounts them (SIOCOUTQ). */
export function unreadByPeer(fd: number): number {
  return count(fd, SIOCOUTQ);
}

/**
 * What waits in a socket, without taking it: all of a stream, the first message of others. An error that waits would be
 * taken where a call finds no bytes before it, and a place to look at of the program's own (SO_PEEK_OFF) would move:
 * then nothing is looked at.
 */
export function peekSocket(fd: number): { readonly bytes: Buffer; readonly expected: number } {
  const expected = count(fd, FIONREAD);
  const isBehind = expected > 0 && number(fd, SO_TYPE) === SOCK_STREAM;
  const isUnsafe = (polled(fd, POLLERR) && !isBehind) || looksElsewhere(fd);
  if (isUnsafe) return { bytes: Buffer.alloc(0), expected };
  const bytes = Buffer.alloc(Math.max(expected, 1));
  const got = tryOwnCall("recvfrom", fd, bytes, bytes.length, MSG_PEEK_DONTWAIT, 0, 0);
  return { bytes: bytes.subarray(0, Math.max(got, 0)), expected };
}

/** The program looks from a place of its own on (SO_PEEK_OFF of socket(7)). */
export function looksElsewhere(fd: number): boolean {
  return (getOption(fd, SOL_SOCKET, SO_PEEK_OFF)?.readInt32LE(0) ?? -1) >= 0;
}

/** What `unreadByPeer` is when just this one message waits: tried on a pair of cr's own. */
export function accountOf(
  message: Buffer,
  [family, type, protocol]: readonly [number, number, number],
): number {
  const ends = Buffer.alloc(8);
  ownCall("socketpair", family, type | SOCK_CLOEXEC, protocol, ends);
  const [one, other] = [ends.readInt32LE(0), ends.readInt32LE(4)];
  try {
    ownCall("sendto", one, message, message.length, 0, 0, 0);
    return unreadByPeer(one);
  } finally {
    closeSync(one);
    closeSync(other);
  }
}

function count(fd: number, what: number): number {
  const value = Buffer.alloc(4);
  ownCall("ioctl", fd, what, value);
  return value.readInt32LE();
}

/**
 * Bytes of memory that these datagrams take in a socket of UDP: tried on sockets of cr's own, over loopback; -1 where
 * they cannot be sent. `from` are struct sockaddr of the same family.
 */
export function memoryOfDatagrams(
  messages: readonly { readonly bytes: Buffer; readonly from: Buffer }[],
): number {
  const address = Buffer.from(messages[0]?.from ?? Buffer.alloc(0));
  if (address.length < 4) return -1;
  const room = Buffer.alloc(4);
  room.writeInt32LE(messages.reduce((sum, { bytes }) => sum + 4 * bytes.length + 4096, 0));
  const fds = [0, 0].map(() => ownCall("socket", address.readUInt16LE(0), SOCK_DGRAM | SOCK_CLOEXEC, 0));
  const [one = -1, other = -1] = fds;
  try {
    address.writeUInt16BE(0, 2);
    ownCall("bind", one, address, address.length);
    ownCall("getsockname", one, address, lengthOf(address));
    for (const name of [SO_RCVBUF, SO_RCVBUFFORCE]) tryOwnCall("setsockopt", one, SOL_SOCKET, name, room, 4);
    for (const { bytes } of messages) {
      if (tryOwnCall("sendto", other, bytes, bytes.length, MSG_DONTWAIT, address, address.length) < 0)
        return -1;
    }
    return receivedMemory(one);
  } finally {
    for (const fd of fds) closeSync(fd);
  }
}

function lengthOf(address: Buffer): Buffer {
  const length = Buffer.alloc(4);
  length.writeInt32LE(address.length);
  return length;
}
