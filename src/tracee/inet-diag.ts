/** What the kernel tells of a TCP connection by its addresses (sock_diag(7)): whose it is; and its removal. */
import { closeSync } from "node:fs";
import { isNativeError } from "./native-error.js";
import { ownCall } from "./own-call.js";

const AF_NETLINK = 16;
const AF_INET = 2;
const IPPROTO_TCP = 6;
const SOCK_RAW_CLOEXEC = 3 | 0o2000000;
const NETLINK_SOCK_DIAG = 4;
const SOCK_DIAG_BY_FAMILY = 20;
const SOCK_DESTROY = 21;
const NLMSG_ERROR = 2;
const NLM_F_REQUEST = 1;
const NLM_F_ACK = 4;
const HEADER_BYTES = 16;
/** struct inet_diag_req_v2: 8 bytes, then struct inet_diag_sockid of 48. */
const ID_AT = HEADER_BYTES + 8;
const REQUEST_BYTES = ID_AT + 48;
/** struct inet_diag_msg: 4 bytes, the sockid, then timers, queues, user and inode. */
const INODE_AT = HEADER_BYTES + 4 + 48 + 16;
const UNREAD_AT = HEADER_BYTES + 4 + 48 + 4;
const MESSAGE_BYTES = INODE_AT + 4;
const ANSWER_BYTES = 4096;
const TCP_LISTEN = 10;

/** Both ends as struct sockaddr in hexadecimal, as one end sees them. */
export interface Ends {
  readonly local: string;
  readonly remote: string;
}

export interface InetSocket {
  readonly state: number;
  /** 0 when no descriptor leads to it any more. */
  readonly inode: bigint;
  /** Bytes that nobody has read. */
  readonly unread: number;
}

/** The socket of this network namespace with these ends; null when there is none or the kernel does not tell. */
export function tcpSocketAt(ends: Ends): InetSocket | null {
  try {
    return parseInetDiag(ask(SOCK_DIAG_BY_FAMILY, NLM_F_REQUEST, ends));
  } catch (error) {
    if (isNativeError(error)) return null;
    throw error;
  }
}

/**
 * Removes what is left of a connection whose processes are gone: one in TIME_WAIT, or that nobody holds. True when the
 * kernel did (CAP_NET_ADMIN, CONFIG_INET_DIAG_DESTROY).
 */
export function removeLeftover(ends: Ends): boolean {
  const found = tcpSocketAt(ends);
  if (found === null || found.inode !== 0n) return false;
  try {
    const answer = ask(SOCK_DESTROY, NLM_F_REQUEST | NLM_F_ACK, ends);
    return answer.readUInt16LE(4) === NLMSG_ERROR && answer.readInt32LE(HEADER_BYTES) === 0;
  } catch (error) {
    if (isNativeError(error)) return false;
    throw error;
  }
}

function ask(type: number, flags: number, ends: Ends): Buffer {
  const request = Buffer.alloc(REQUEST_BYTES);
  request.writeUInt32LE(REQUEST_BYTES, 0);
  request.writeUInt16LE(type, 4);
  request.writeUInt16LE(flags, 6);
  const [local, remote] = [Buffer.from(ends.local, "hex"), Buffer.from(ends.remote, "hex")];
  request.writeUInt8(local.readUInt16LE(0), HEADER_BYTES);
  request.writeUInt8(IPPROTO_TCP, HEADER_BYTES + 1);
  request.writeUInt32LE(0xffff_ffff, HEADER_BYTES + 4);
  local.copy(request, ID_AT, 2, 4);
  remote.copy(request, ID_AT + 2, 2, 4);
  addressOf(local).copy(request, ID_AT + 4);
  addressOf(remote).copy(request, ID_AT + 20);
  request.writeUInt32LE(scopeOf(remote), ID_AT + 36);
  request.fill(0xff, ID_AT + 40);
  const fd = ownCall("socket", AF_NETLINK, SOCK_RAW_CLOEXEC, NETLINK_SOCK_DIAG);
  try {
    ownCall("sendto", fd, request, request.length, 0, 0, 0);
    const answer = Buffer.alloc(ANSWER_BYTES);
    return answer.subarray(0, ownCall("recvfrom", fd, answer, answer.length, 0, 0, 0));
  } finally {
    closeSync(fd);
  }
}

function addressOf(socket: Buffer): Buffer {
  return socket.readUInt16LE(0) === AF_INET ? socket.subarray(4, 8) : socket.subarray(8, 24);
}

/** The interface of a link-local address (ipv6(7)). */
function scopeOf(socket: Buffer): number {
  return socket.readUInt16LE(0) === AF_INET || socket.length < 28 ? 0 : socket.readUInt32LE(24);
}

/** Parses one answer of sock_diag about a TCP socket; null for an error, and for a listening one on the same port. */
export function parseInetDiag(answer: Buffer): InetSocket | null {
  if (answer.length < MESSAGE_BYTES || answer.readUInt16LE(4) === NLMSG_ERROR) return null;
  const state = answer.readUInt8(HEADER_BYTES + 1);
  if (state === TCP_LISTEN) return null;
  return {
    state,
    inode: BigInt(answer.readUInt32LE(INODE_AT)),
    unread: answer.readUInt32LE(UNREAD_AT),
  };
}
