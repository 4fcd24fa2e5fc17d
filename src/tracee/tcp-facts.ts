/** What can be asked about TCP sockets without repair mode, and whether that mode may be used here. */
import { closeSync } from "node:fs";
import type { Tcp } from "../state/tcp.js";
import { tryOwnCall } from "./own-call.js";
import { getOption } from "./socket-options.js";

const AF_INET = 2;
const SOCK_STREAM_CLOEXEC = 1 | 0o2000000;
const SOL_SOCKET = 1;
const SO_SNDBUF = 7;
const SO_RCVBUF = 8;
const SO_BUF_LOCK = 72;
const IPPROTO_TCP = 6;
const TCP_INFO = 11;
const TCP_REPAIR = 19;
const TCP_ULP = 31;
const TCP_ESTABLISHED = 1;

/** Whether cr may use repair mode in this network namespace (CAP_NET_ADMIN): tried on a socket of its own. */
export function mayRepair(): boolean {
  const fd = tryOwnCall("socket", AF_INET, SOCK_STREAM_CLOEXEC, 0);
  if (fd < 0) return false;
  const on = Buffer.alloc(4);
  on.writeInt32LE(1);
  const result = tryOwnCall("setsockopt", fd, IPPROTO_TCP, TCP_REPAIR, on, on.length);
  closeSync(fd);
  return result >= 0;
}

/** The name of what has taken the connection over (`tls`); empty mostly. */
export function layerOf(fd: number): string {
  const name = getOption(fd, IPPROTO_TCP, TCP_ULP)?.toString("latin1") ?? "";
  return name.replace(/\0.*$/s, "");
}

/** True while both directions are open. */
export function isEstablished(fd: number): boolean {
  return getOption(fd, IPPROTO_TCP, TCP_INFO)?.readUInt8(0) === TCP_ESTABLISHED;
}

/** Sizes of both buffers, which the kernel may have grown. */
export function buffersOf(fd: number): Tcp["buffers"] {
  const read = (name: number) => getOption(fd, SOL_SOCKET, name)?.readInt32LE(0) ?? 0;
  return { send: read(SO_SNDBUF), receive: read(SO_RCVBUF), locks: read(SO_BUF_LOCK) };
}
