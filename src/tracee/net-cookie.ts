/** In which network namespace a socket was made (SO_NETNS_COOKIE of socket(7), Linux 5.14). */
import { closeSync } from "node:fs";
import { ownCall, tryOwnCall } from "./own-call.js";

const AF_UNIX = 1;
const SOCK_DGRAM_CLOEXEC = 2 | 0o2000000;
const SOL_SOCKET = 1;
const SO_NETNS_COOKIE = 71;
const COOKIE_BYTES = 8;

/** True for a socket of the namespace that we are in, behind a descriptor of ours; also where the kernel does not tell. */
export function isOfThisNetwork(fd: number): boolean {
  const here = ownCall("socket", AF_UNIX, SOCK_DGRAM_CLOEXEC, 0);
  try {
    return cookieOf(fd) === cookieOf(here);
  } finally {
    closeSync(here);
  }
}

function cookieOf(fd: number): bigint {
  const length = Buffer.alloc(4);
  length.writeInt32LE(COOKIE_BYTES);
  const cookie = Buffer.alloc(COOKIE_BYTES);
  const result = tryOwnCall("getsockopt", fd, SOL_SOCKET, SO_NETNS_COOKIE, cookie, length);
  return result < 0 ? 0n : cookie.readBigUInt64LE();
}
