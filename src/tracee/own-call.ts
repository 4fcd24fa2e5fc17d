/**
 * System calls of cr itself for which Node has no function: of descriptors, sockets and locks. What they act on is
 * cr's own, or a descriptor of the target that cr holds as well (grasp.ts); the target runs none of them.
 */
import { errnoName, NativeError, tryCall } from "./native.js";

/** Numbers of arch/x86/entry/syscalls/syscall_64.tbl. */
const NUMBER = {
  read: 0,
  write: 1,
  close: 3,
  poll: 7,
  mmap: 9,
  munmap: 11,
  ioctl: 16,
  shmget: 29,
  shmat: 30,
  shmctl: 31,
  socket: 41,
  connect: 42,
  sendto: 44,
  recvfrom: 45,
  sendmsg: 46,
  shutdown: 48,
  bind: 49,
  listen: 50,
  getsockname: 51,
  getpeername: 52,
  socketpair: 53,
  setsockopt: 54,
  getsockopt: 55,
  semget: 64,
  semctl: 66,
  shmdt: 67,
  msgget: 68,
  msgsnd: 69,
  msgrcv: 70,
  msgctl: 71,
  fcntl: 72,
  flock: 73,
  mknod: 133,
  setresuid: 117,
  setresgid: 119,
  setfsuid: 122,
  fstatfs: 138,
  prctl: 157,
  epoll_ctl: 233,
  gettid: 186,
  tgkill: 234,
  inotify_add_watch: 254,
  linkat: 265,
  unshare: 272,
  inotify_rm_watch: 255,
  utimensat: 280,
  accept4: 288,
  timerfd_settime: 286,
  timerfd_gettime: 287,
  timerfd_create: 283,
  sync_file_range: 277,
  fallocate: 285,
  signalfd4: 289,
  eventfd2: 290,
  epoll_create1: 291,
  inotify_init1: 294,
  open_by_handle_at: 304,
  setns: 308,
  mq_open: 240,
  mq_unlink: 241,
  mq_timedreceive: 243,
  mq_getsetattr: 245,
  kcmp: 312,
  renameat2: 316,
  memfd_create: 319,
  pidfd_send_signal: 424,
  pidfd_open: 434,
  openat2: 437,
  pidfd_getfd: 438,
} as const;
export type OwnCallName = keyof typeof NUMBER;

/** A buffer stands for its address, and is filled with what the kernel puts there. */
export type OwnArgument = bigint | number | Buffer;

const WORD_BYTES = 8;
const ARGUMENTS = 6;

/** The result of the call as it is, a negative errno included. */
export function tryOwnCall(name: OwnCallName, ...args: readonly OwnArgument[]): number {
  const words = Buffer.alloc(ARGUMENTS * WORD_BYTES);
  const placed: { readonly buffer: Buffer; readonly at: number }[] = [];
  let length = 0;
  let pointers = 0;
  args.forEach((arg, index) => {
    const word = Buffer.isBuffer(arg) ? length : arg;
    words.writeBigUInt64LE(BigInt.asUintN(64, BigInt(word)), index * WORD_BYTES);
    if (!Buffer.isBuffer(arg)) return;
    placed.push({ buffer: arg, at: length });
    pointers |= 1 << index;
    length += Math.ceil(arg.length / WORD_BYTES) * WORD_BYTES;
  });
  const data = Buffer.alloc(Math.max(length, WORD_BYTES));
  for (const { buffer, at } of placed) buffer.copy(data, at);
  const result = tryCall("cr_own_call", NUMBER[name], words, pointers, data, data.length);
  for (const { buffer, at } of placed) data.copy(buffer, 0, at, at + buffer.length);
  return result;
}

/** The result of the call; a `NativeError` with the errno's name when it failed. */
export function ownCall(name: OwnCallName, ...args: readonly OwnArgument[]): number {
  const result = tryOwnCall(name, ...args);
  if (result < 0) throw new NativeError("cr_own_call", errnoName(-result));
  return result;
}
