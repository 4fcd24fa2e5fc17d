/** A TCP socket whose connection is gone: its program reads ECONNRESET once, then the end, and writes EPIPE. */
import { closeSync } from "node:fs";
import { ownCall } from "../tracee/own-call.js";

const AF_INET = 2;
const AF_INET6 = 10;
const SOCK_STREAM_CLOEXEC = 1 | 0o2000000;
const SOL_SOCKET = 1;
const SO_LINGER = 13;
const IPV4_BYTES = 16;
const IPV6_BYTES = 28;
const LOOPBACK = [127, 0, 0, 1];

/** Made by a connection within this host, which the other end resets (SO_LINGER of socket(7)). */
export function makeResetSocket(family: number): number {
  const door = ownCall("socket", AF_INET, SOCK_STREAM_CLOEXEC, 0);
  let other = -1;
  try {
    ownCall("bind", door, loopback(0), IPV4_BYTES);
    ownCall("listen", door, 1);
    const address = Buffer.alloc(IPV4_BYTES);
    const length = Buffer.alloc(4);
    length.writeInt32LE(IPV4_BYTES);
    ownCall("getsockname", door, address, length);
    const fd = ownCall("socket", family, SOCK_STREAM_CLOEXEC, 0);
    const target = family === AF_INET6 ? mapped(address.readUInt16BE(2)) : address;
    ownCall("connect", fd, target, target.length);
    other = ownCall("accept4", door, 0, 0, SOCK_STREAM_CLOEXEC & ~1);
    const now = Buffer.alloc(8);
    now.writeInt32LE(1, 0);
    ownCall("setsockopt", other, SOL_SOCKET, SO_LINGER, now, now.length);
    return fd;
  } finally {
    closeSync(door);
    if (other >= 0) closeSync(other);
  }
}

function loopback(port: number): Buffer {
  const address = Buffer.alloc(IPV4_BYTES);
  address.writeUInt16LE(AF_INET, 0);
  address.writeUInt16BE(port, 2);
  Buffer.from(LOOPBACK).copy(address, 4);
  return address;
}

/** The same in the clothes of an IPv6 address (ipv6(7)). */
function mapped(port: number): Buffer {
  const address = Buffer.alloc(IPV6_BYTES);
  address.writeUInt16LE(AF_INET6, 0);
  address.writeUInt16BE(port, 2);
  address.fill(0xff, 18, 20);
  Buffer.from(LOOPBACK).copy(address, 20);
  return address;
}
