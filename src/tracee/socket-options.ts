/** Options of sockets (socket(7), tcp(7), ip(7), ipv6(7)): which of them a program has changed. */
import { closeSync } from "node:fs";
import { ownCall, tryOwnCall } from "./own-call.js";

export interface SocketOption {
  readonly level: number;
  readonly name: number;
  /** In hexadecimal, as getsockopt(2) gives it. */
  readonly value: string;
}

const SOL_SOCKET = 1;
const SO_SNDBUF = 7;
const SO_RCVBUF = 8;
const SO_GET_FILTER = 26;
/** 1: SO_SNDBUF was set, 2: SO_RCVBUF was set; else the kernel chooses. */
const SO_BUF_LOCK = 72;
const VALUE_BYTES = 64;
const SOCK_CLOEXEC = 0o2000000;

/** Options by level; those that only read, or that act once, are left out. */
const NAMES: Readonly<Record<number, readonly number[]>> = {
  [SOL_SOCKET]: [1, 2, 5, 6, 9, 10, 12, 13, 15, 16, 18, 20, 21, 25, 29, 34, 35, 36, 37, 40, 42, 46],
  // TCP_NODELAY, CORK, KEEPIDLE, KEEPINTVL, KEEPCNT, SYNCNT, LINGER2, DEFER_ACCEPT, CONGESTION, USER_TIMEOUT, FASTOPEN, …
  6: [1, 3, 4, 5, 6, 7, 8, 9, 13, 18, 23, 25],
  // IP_TOS, TTL, PKTINFO, MTU_DISCOVER, RECVERR, RECVTTL, RECVTOS, FREEBIND, TRANSPARENT, multicast
  0: [1, 2, 8, 10, 11, 12, 13, 15, 19, 24, 32, 33, 34, 49],
  // IPV6_UNICAST_HOPS, multicast, MTU_DISCOVER, RECVERR, V6ONLY, RECVPKTINFO, RECVHOPLIMIT, RECVTCLASS, TCLASS
  41: [16, 17, 18, 19, 23, 25, 26, 49, 51, 66, 67],
};

/** Multicast, which a stream has not: there they can be read and not set. */
const NOT_OF_STREAMS: Readonly<Record<number, readonly number[]>> = { 0: [32, 33, 34, 49], 41: [17, 18, 19] };
const SOCK_STREAM = 1;

const fresh = new Map<string, ReadonlyMap<string, string>>();

/** Options of the socket behind cr's descriptor that differ from a new one's, in the order to set them. */
export function changedOptions(fd: number, sort: readonly [number, number, number]): SocketOption[] {
  const key = sort.join(" ");
  const known = fresh.get(key) ?? optionsOfNew(sort);
  fresh.set(key, known);
  return Object.entries(NAMES)
    .flatMap(([level, names]) => names.map((name) => ({ level: Number(level), name })))
    .flatMap(({ level, name }) => asOption(level, name, getOption(fd, level, name)))
    .filter(({ level, name, value }) => known.get(`${level} ${name}`) !== value)
    .filter(({ level, name }) => sort[1] !== SOCK_STREAM || !NOT_OF_STREAMS[level]?.includes(name))
    .concat(lockedBuffers(fd));
}

function optionsOfNew([family, type, protocol]: readonly [number, number, number]): Map<string, string> {
  const fd = ownCall("socket", family, type | SOCK_CLOEXEC, protocol);
  try {
    const all = Object.entries(NAMES).flatMap(([level, names]) =>
      names.flatMap((name) => asOption(Number(level), name, getOption(fd, Number(level), name))),
    );
    return new Map(all.map(({ level, name, value }) => [`${level} ${name}`, value]));
  } finally {
    closeSync(fd);
  }
}

function lockedBuffers(fd: number): SocketOption[] {
  const locks = getOption(fd, SOL_SOCKET, SO_BUF_LOCK)?.readUInt32LE(0) ?? 0;
  return [SO_SNDBUF, SO_RCVBUF].flatMap((name, bit) =>
    locks & (1 << bit) ? asOption(SOL_SOCKET, name, getOption(fd, SOL_SOCKET, name)) : [],
  );
}

function asOption(level: number, name: number, value: Buffer | null): SocketOption[] {
  return value === null ? [] : [{ level, name, value: value.toString("hex") }];
}

/** The value of an option, null where the socket has none such. */
export function getOption(fd: number, level: number, name: number): Buffer | null {
  return askOption(fd, { level, name, bytes: VALUE_BYTES });
}

/** The same for one that must be asked for with its exact length. */
export function askOption(
  fd: number,
  { level, name, bytes }: { readonly level: number; readonly name: number; readonly bytes: number },
): Buffer | null {
  const value = Buffer.alloc(bytes);
  const length = Buffer.alloc(4);
  length.writeInt32LE(bytes);
  const result = tryOwnCall("getsockopt", fd, level, name, value, length);
  return result < 0 ? null : value.subarray(0, length.readInt32LE());
}

/** True when a program filters what the socket gets (SO_ATTACH_FILTER, SO_ATTACH_BPF). */
export function hasFilter(fd: number): boolean {
  const length = Buffer.alloc(4);
  const result = tryOwnCall("getsockopt", fd, SOL_SOCKET, SO_GET_FILTER, Buffer.alloc(8), length);
  return result < 0 || length.readInt32LE() > 0;
}

/** Sets an option to what getsockopt(2) gave. Throws `NativeError`. */
export function setOption(fd: number, { level, name, value }: SocketOption): void {
  const bytes = Buffer.from(value, "hex");
  const isBuffer = level === SOL_SOCKET && (name === SO_SNDBUF || name === SO_RCVBUF);
  // The kernel doubles what it is given (socket(7)); root may exceed the limit of the host (…FORCE).
  if (isBuffer) {
    bytes.writeUInt32LE(bytes.readUInt32LE() >>> 1);
    const force = name === SO_SNDBUF ? SO_SNDBUFFORCE : SO_RCVBUFFORCE;
    if (tryOwnCall("setsockopt", fd, level, force, bytes, bytes.length) >= 0) return;
  }
  ownCall("setsockopt", fd, level, name, bytes, bytes.length);
}

const SO_SNDBUFFORCE = 32;
const SO_RCVBUFFORCE = 33;
