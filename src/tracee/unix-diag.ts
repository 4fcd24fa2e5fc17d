/** What the kernel tells of a unix socket by its inode (sock_diag(7)): its other end, its file, its queue. */
import { closeSync } from "node:fs";
import { isNativeError } from "./native-error.js";
import { ownCall } from "./own-call.js";

const AF_NETLINK = 16;
const AF_UNIX = 1;
const SOCK_RAW_CLOEXEC = 3 | 0o2000000;
const NETLINK_SOCK_DIAG = 4;
const SOCK_DIAG_BY_FAMILY = 20;
const NLMSG_ERROR = 2;
const NLM_F_REQUEST = 1;
const HEADER_BYTES = 16;
const REQUEST_BYTES = HEADER_BYTES + 24;
/** struct unix_diag_msg: family, type, state, pad, inode, cookie. */
const MESSAGE_BYTES = 16;
const ANSWER_BYTES = 4096;
/** UDIAG_SHOW_NAME, VFS, PEER and RQLEN; UDIAG_SHOW_ICONS; attributes of the answer. */
const SHOW = 0x01 | 0x02 | 0x04 | 0x10;
const SHOW_CLIENTS = 0x08;
const ATTRIBUTE = { name: 0, vfs: 1, peer: 2, clients: 3, queue: 4, shutdown: 6 } as const;

export interface UnixSocket {
  /** As of net/tcp_states.h: 1 connected, 7 closed, 10 listening. */
  readonly state: number;
  /** What it is bound to, in hexadecimal, or was accepted at; empty without a name. */
  readonly name: string;
  readonly peer: bigint | null;
  /** Inode of the file it is bound to. */
  readonly file: bigint | null;
  /** Of a listening socket: connections that wait to be accepted, and how many may. */
  readonly waiting: number;
  readonly backlog: number;
  /** 1: no more reading, 2: no more writing. */
  readonly shutdown: number;
}

/** Null when there is no such socket here, or when this kernel does not tell (CONFIG_UNIX_DIAG). */
export function unixSocket(inode: bigint): UnixSocket | null {
  const answer = ask(inode, SHOW);
  return answer && parseUnixDiag(answer);
}

/**
 * Inodes of the sockets that wait to be accepted by a listening one, in order; 0 for one that was closed since. Null
 * when the kernel does not tell.
 */
export function waitingClients(inode: bigint): bigint[] | null {
  const answer = ask(inode, SHOW_CLIENTS);
  const found = answer && attributesOf(answer);
  if (!found) return null;
  const words = found.get(ATTRIBUTE.clients) ?? Buffer.alloc(0);
  return Array.from({ length: words.length / 4 }, (_, index) => BigInt(words.readUInt32LE(index * 4)));
}

function ask(inode: bigint, show: number): Buffer | null {
  const fd = ownCall("socket", AF_NETLINK, SOCK_RAW_CLOEXEC, NETLINK_SOCK_DIAG);
  try {
    const request = Buffer.alloc(REQUEST_BYTES);
    request.writeUInt32LE(REQUEST_BYTES, 0);
    request.writeUInt16LE(SOCK_DIAG_BY_FAMILY, 4);
    request.writeUInt16LE(NLM_F_REQUEST, 6);
    request.writeUInt8(AF_UNIX, HEADER_BYTES);
    request.writeUInt32LE(0xffff_ffff, HEADER_BYTES + 4);
    request.writeUInt32LE(Number(inode), HEADER_BYTES + 8);
    request.writeUInt32LE(show, HEADER_BYTES + 12);
    request.fill(0xff, HEADER_BYTES + 16);
    ownCall("sendto", fd, request, request.length, 0, 0, 0);
    const answer = Buffer.alloc(ANSWER_BYTES);
    return answer.subarray(0, ownCall("recvfrom", fd, answer, answer.length, 0, 0, 0));
  } catch (error) {
    if (isNativeError(error, "ENOENT", "EPROTONOSUPPORT")) return null;
    throw error;
  } finally {
    closeSync(fd);
  }
}

/** Parses one answer of sock_diag about a unix socket; null for an error. */
export function parseUnixDiag(answer: Buffer): UnixSocket | null {
  const found = attributesOf(answer);
  if (found === null) return null;
  const peer = found.get(ATTRIBUTE.peer)?.readUInt32LE(0) ?? 0;
  const file = found.get(ATTRIBUTE.vfs)?.readUInt32LE(0);
  return {
    state: answer.readUInt8(HEADER_BYTES + 2),
    name: found.get(ATTRIBUTE.name)?.toString("hex") ?? "",
    peer: peer === 0 ? null : BigInt(peer),
    file: file === undefined ? null : BigInt(file),
    waiting: found.get(ATTRIBUTE.queue)?.readUInt32LE(0) ?? 0,
    backlog: found.get(ATTRIBUTE.queue)?.readUInt32LE(4) ?? 0,
    shutdown: found.get(ATTRIBUTE.shutdown)?.readUInt8(0) ?? 0,
  };
}

function attributesOf(answer: Buffer): Map<number, Buffer> | null {
  if (answer.length < HEADER_BYTES + MESSAGE_BYTES || answer.readUInt16LE(4) === NLMSG_ERROR) return null;
  const end = Math.min(answer.readUInt32LE(0), answer.length);
  const found = new Map<number, Buffer>();
  for (let at = HEADER_BYTES + MESSAGE_BYTES; at + 4 <= end; ) {
    const length = answer.readUInt16LE(at);
    if (length < 4) break;
    found.set(answer.readUInt16LE(at + 2), answer.subarray(at + 4, at + length));
    at += (length + 3) & ~3;
  }
  return found;
}
