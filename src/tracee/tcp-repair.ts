/**
 * TCP connections by their numbers (TCP_REPAIR of tcp(7); net/ipv4/tcp.c): read from a socket that somebody else has
 * put into repair mode, and made again without a packet. A close in repair mode tells the peer nothing.
 */
import type { Tcp, TcpNumbers } from "../state/tcp.js";
import { ownCall, tryOwnCall } from "./own-call.js";
import { askOption, getOption } from "./socket-options.js";

const IPPROTO_TCP = 6;
const SOL_SOCKET = 1;
const TCP_MAXSEG = 2;
const TCP_INFO = 11;
const TCP_REPAIR = 19;
const TCP_REPAIR_QUEUE = 20;
const TCP_QUEUE_SEQ = 21;
const TCP_REPAIR_OPTIONS = 22;
const TCP_TIMESTAMP = 24;
const TCP_REPAIR_WINDOW = 29;
/** struct tcp_repair_window */
const WINDOW_BYTES = 20;
const QUEUE = { none: 0, receive: 1, send: 2 } as const;
/** tcpi_options and tcpi_snd_wscale, tcpi_rcv_wscale of struct tcp_info. */
const INFO_OPTIONS_AT = 5;
const INFO_SCALES_AT = 6;
const TIMESTAMPS = 1;
const SELECTIVE_ACKS = 2;
const WINDOW_SCALE = 4;
/** Codes of TCP_REPAIR_OPTIONS: those of the options in a segment. */
const OPTION = { mss: 2, windowScale: 3, selectiveAcks: 4, timestamps: 8 } as const;
const FIONREAD = 0x541b;
const SIOCOUTQ = 0x5411;
const SIOCOUTQNSD = 0x894b;
const MSG_DONTWAIT = 0x40;
const MSG_PEEK_DONTWAIT = 0x02 | MSG_DONTWAIT;
const SO_BUF_LOCK = 72;
const SO_SNDBUFFORCE = 32;
const SO_RCVBUFFORCE = 33;
const SEQUENCE_NUMBERS = 2 ** 32;
/** MAX_TCP_WINDOW of net/tcp.h */
const MAXSEG_MAX = 32_767;
/** Of the loopback interface: 64 KiB without the headers of IPv6 and TCP. */
const PLAIN_MSS = 65_463;
const PLAIN_SCALE = 7;
/** The kernel takes what is queued in pieces of some pages. */
const PIECE_BYTES = 1 << 16;

export interface Queues {
  readonly received: Buffer;
  readonly sent: Buffer;
  /** The last bytes of `sent`, which have not left yet. */
  readonly unsentBytes: number;
}

function numberOption(fd: number, name: number): number {
  const value = getOption(fd, IPPROTO_TCP, name);
  if (value === null || value.length < 4) throw new RangeError(`no TCP option ${name}`);
  return value.readUInt32LE(0);
}

function setNumber(fd: number, name: number, value: number): void {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32LE(value | 0);
  ownCall("setsockopt", fd, IPPROTO_TCP, name, bytes, bytes.length);
}

function sequence(fd: number, queue: number): number {
  setNumber(fd, TCP_REPAIR_QUEUE, queue);
  return numberOption(fd, TCP_QUEUE_SEQ);
}

function count(fd: number, what: number): number {
  const value = Buffer.alloc(4);
  ownCall("ioctl", fd, what, value);
  return value.readInt32LE();
}

/** The numbers of a connection in repair mode. Throws `NativeError`. */
export function readNumbers(fd: number): TcpNumbers {
  const info = getOption(fd, IPPROTO_TCP, TCP_INFO) ?? Buffer.alloc(8);
  const options = info.readUInt8(INFO_OPTIONS_AT);
  const scales = info.readUInt8(INFO_SCALES_AT);
  const asked = { level: IPPROTO_TCP, name: TCP_REPAIR_WINDOW, bytes: WINDOW_BYTES };
  const window = askOption(fd, asked) ?? Buffer.alloc(WINDOW_BYTES);
  const numbers = {
    receiveSeq: sequence(fd, QUEUE.receive),
    sendSeq: sequence(fd, QUEUE.send),
    mss: numberOption(fd, TCP_MAXSEG),
    scales: options & WINDOW_SCALE ? { send: scales & 15, receive: scales >> 4 } : null,
    selectiveAcks: (options & SELECTIVE_ACKS) !== 0,
    timestamp: options & TIMESTAMPS ? numberOption(fd, TCP_TIMESTAMP) : null,
    window: [0, 4, 8, 12, 16].map((at) => window.readUInt32LE(at)),
  };
  setNumber(fd, TCP_REPAIR_QUEUE, QUEUE.none);
  return numbers;
}

/** What waits in both directions, in repair mode; null when something came in meanwhile. */
export function peekQueues(fd: number): Queues | null {
  const before = sequence(fd, QUEUE.receive);
  const received = peek(fd, count(fd, FIONREAD));
  const after = sequence(fd, QUEUE.receive);
  const expected = count(fd, SIOCOUTQ);
  const unsentBytes = count(fd, SIOCOUTQNSD);
  setNumber(fd, TCP_REPAIR_QUEUE, QUEUE.send);
  const sent = peek(fd, expected);
  setNumber(fd, TCP_REPAIR_QUEUE, QUEUE.none);
  return before === after && received !== null && sent !== null ? { received, sent, unsentBytes } : null;
}

function peek(fd: number, expected: number): Buffer | null {
  const bytes = Buffer.alloc(Math.max(expected, 1));
  const got = expected === 0 ? 0 : tryOwnCall("recvfrom", fd, bytes, expected, MSG_PEEK_DONTWAIT, 0, 0);
  return got === expected ? bytes.subarray(0, got) : null;
}

/** Sizes of the buffers without keeping the kernel from changing them later. */
function putBuffers(fd: number, { send, receive, locks }: Tcp["buffers"]): void {
  const set = (name: number, value: number) => {
    const bytes = Buffer.alloc(4);
    bytes.writeInt32LE(value);
    return tryOwnCall("setsockopt", fd, SOL_SOCKET, name, bytes, bytes.length);
  };
  // The kernel doubles what it is given (socket(7)).
  set(SO_SNDBUFFORCE, send >> 1);
  set(SO_RCVBUFFORCE, receive >> 1);
  set(SO_BUF_LOCK, locks);
}

/** What a connection is made of. */
export interface Making {
  readonly numbers: TcpNumbers | (Pick<TcpNumbers, "receiveSeq" | "sendSeq"> & { readonly window: null });
  readonly queues: Queues;
  readonly buffers: Tcp["buffers"];
  /** Runs bind(2) and connect(2) of the socket. */
  connect(fd: number): void;
}

/**
 * Makes a connection of a new socket: it stays in repair mode, silent, until `goOn`. Throws `NativeError`, EPERM without
 * CAP_NET_ADMIN.
 */
export function makeConnection(fd: number, { numbers, queues, buffers, connect }: Making): void {
  const { received, sent, unsentBytes } = queues;
  setNumber(fd, TCP_REPAIR, 1);
  putBuffers(fd, buffers);
  setSequence(fd, QUEUE.receive, numbers.receiveSeq - received.length);
  setSequence(fd, QUEUE.send, numbers.sendSeq - sent.length);
  setNumber(fd, TCP_REPAIR_QUEUE, QUEUE.none);
  // What the segments are cut to is decided when it connects, from the largest one that may be set.
  setNumber(fd, TCP_MAXSEG, Math.min(numbers.window === null ? PLAIN_MSS : numbers.mss, MAXSEG_MAX));
  connect(fd);
  setNumber(fd, TCP_MAXSEG, 0);
  if (numbers.window !== null) putOptions(fd, numbers);
  else putPlainOptions(fd);
  queue(fd, QUEUE.receive, received);
  queue(fd, QUEUE.send, sent.subarray(0, sent.length - unsentBytes));
  setNumber(fd, TCP_REPAIR_QUEUE, QUEUE.none);
  if (numbers.window !== null) putWindow(fd, numbers.window);
}

function setSequence(fd: number, which: number, value: number): void {
  setNumber(fd, TCP_REPAIR_QUEUE, which);
  setNumber(fd, TCP_QUEUE_SEQ, (value + SEQUENCE_NUMBERS) % SEQUENCE_NUMBERS);
}

function putOptions(fd: number, { mss, scales, selectiveAcks, timestamp }: TcpNumbers): void {
  const options: (readonly [number, number])[] = [[OPTION.mss, mss]];
  if (scales !== null) options.push([OPTION.windowScale, scales.send | (scales.receive << 16)]);
  if (selectiveAcks) options.push([OPTION.selectiveAcks, 0]);
  if (timestamp !== null) options.push([OPTION.timestamps, 0]);
  putOptionList(fd, options);
  if (timestamp !== null) setNumber(fd, TCP_TIMESTAMP, timestamp);
}

/** Of a connection whose ends are both made here: what two ends on one host agree upon. */
function putPlainOptions(fd: number): void {
  putOptionList(fd, [
    [OPTION.mss, PLAIN_MSS],
    [OPTION.windowScale, PLAIN_SCALE | (PLAIN_SCALE << 16)],
    [OPTION.selectiveAcks, 0],
  ]);
}

function putOptionList(fd: number, options: readonly (readonly [number, number])[]): void {
  const bytes = Buffer.alloc(options.length * 8);
  options.forEach(([code, value], index) => {
    bytes.writeUInt32LE(code, index * 8);
    bytes.writeUInt32LE(value, index * 8 + 4);
  });
  ownCall("setsockopt", fd, IPPROTO_TCP, TCP_REPAIR_OPTIONS, bytes, bytes.length);
}

function queue(fd: number, which: number, bytes: Buffer): void {
  setNumber(fd, TCP_REPAIR_QUEUE, which);
  for (let done = 0; done < bytes.length; ) {
    const piece = bytes.subarray(done, done + PIECE_BYTES);
    done += ownCall("sendto", fd, piece, piece.length, 0, 0, 0);
  }
}

function putWindow(fd: number, window: readonly number[]): void {
  const bytes = Buffer.alloc(window.length * 4);
  for (const [index, value] of window.entries()) bytes.writeUInt32LE(value, index * 4);
  ownCall("setsockopt", fd, IPPROTO_TCP, TCP_REPAIR_WINDOW, bytes, bytes.length);
}

/** Takes a made connection out of repair mode, which asks the peer where it stands. */
export function goOn(fd: number): void {
  setNumber(fd, TCP_REPAIR, 0);
}

/** Sends what had not been sent: it fitted into the buffer once. Throws `NativeError`. */
export function sendRest(fd: number, unsent: Buffer): void {
  for (let done = 0; done < unsent.length; ) {
    const piece = unsent.subarray(done);
    done += ownCall("sendto", fd, piece, piece.length, MSG_DONTWAIT, 0, 0);
  }
}
