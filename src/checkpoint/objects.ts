/** Kernel objects behind descriptors, recorded or refused by name; sockets are in socket-objects.ts. */
import { describeFarEnd } from "../host/descriptor-holders.js";
import type { FileDescription } from "../state/fd.js";
import type { KernelObject } from "../state/kernel-object.js";
import type { OpenDescriptor } from "../tracee/descriptors.js";
import { isPipeWidowed, pipeCapacity, sealsOf, waitingBytes } from "../tracee/fd-control.js";
import {
  eventfdInfo,
  inotifyWatches,
  signalfdMask,
  type TimerfdInfo,
  timerfdInfo,
} from "../tracee/fdinfo.js";
import { pathOfHandle } from "../tracee/file-handle.js";
import { innerPid } from "../tracee/pid-namespace.js";
import type { FarEnds } from "./far-ends.js";

const O_ACCMODE = 0o3;
const O_WRONLY = 1;
const O_RDONLY = 0;
const STANDARD_FDS_MAX = 2;
const DELETED = " (deleted)";
const MEMFD = "/memfd:";
const F_SEAL_KNOWN = 0x3f;
/** A watch descriptor is had again by making as many watches: more than this takes too long. */
const WATCH_DESCRIPTOR_MAX = 1 << 16;

const TFD_TIMER_ABSTIME = 1;
/** CLOCK_REALTIME and CLOCK_REALTIME_ALARM. */
const REAL_CLOCKS = [0, 8];

/** All descriptors of the process, and who else holds its pipes and sockets. */
export interface Surroundings {
  readonly pid: number;
  readonly open: readonly OpenDescriptor[];
  readonly farEnds: FarEnds;
  /** Of more than one process. */
  readonly inTree: boolean;
}

/** What a descriptor is, or why it cannot be saved. */
export type Sort =
  | { readonly kind: FileDescription["kind"]; readonly object: KernelObject | null }
  | { readonly refused: string };

/**
 * A pipe or FIFO: saved with both ends inside or one of them closed, outside on 0 to 2, else refused. A pipe whose other
 * end is closed may be the standard input of a lone process that is to have another one; in a tree it is its member's.
 */
export function sortPipe(one: OpenDescriptor, { pid, open, farEnds, inTree }: Surroundings): Sort {
  const ends = open.filter(({ link, stat }) => link === one.link && stat.ino === one.stat.ino);
  const reads = ends.some(({ flags }) => (flags & O_ACCMODE) !== O_WRONLY);
  const writes = ends.some(({ flags }) => (flags & O_ACCMODE) !== O_RDONLY);
  const holder = farEnds.holder(one.link);
  const isPipe = one.link.startsWith("pipe:");
  const mayLack = isPipe && (inTree || one.fd > STANDARD_FDS_MAX);
  const isWhole = (reads && writes) || (mayLack && isPipeWidowed(pid, one.fd));
  if (isWhole && holder === null) {
    return { kind: "pipe", object: { kind: "pipe", capacityBytes: pipeCapacity(pid, one.fd) } };
  }
  const passesInside = [O_RDONLY, O_WRONLY].every((mode) =>
    ends.some(({ flags }) => (flags & O_ACCMODE) === mode),
  );
  if (one.fd <= STANDARD_FDS_MAX && !passesInside) return { kind: "outside", object: null };
  const what = isPipe ? "a pipe" : "a FIFO";
  const who = holder === null ? "whose other end is not in it" : `that ${describeFarEnd(holder)}, too`;
  return { refused: `${what} (${one.link}) ${who}` };
}

/** An anonymous inode or a memfd; null for what is neither. */
export function sortAnonymous(one: OpenDescriptor, { pid }: Surroundings): Sort | null {
  const { link, info } = one;
  if (link.startsWith(MEMFD)) return sortMemfd(pid, one);
  switch (link) {
    case "anon_inode:[eventpoll]":
      return { kind: "epoll", object: null };
    case "anon_inode:[eventfd]":
      return { kind: "eventfd", object: { kind: "eventfd", ...eventfdInfo(info) } };
    case "anon_inode:[timerfd]":
      return { kind: "timerfd", object: sortTimerfd(timerfdInfo(info)) };
    case "anon_inode:[signalfd]":
      return { kind: "signalfd", object: { kind: "signalfd", mask: signalfdMask(info) } };
    case "anon_inode:inotify":
      return sortInotify(pid, one);
  }
  return link.startsWith("anon_inode:") ? { refused: `${link.slice("anon_inode:".length)} (${link})` } : null;
}

function sortTimerfd(timer: TimerfdInfo): KernelObject {
  const isWallTime =
    timer.flags & TFD_TIMER_ABSTIME && REAL_CLOCKS.includes(timer.clock) && timer.valueNs > 0n;
  // Rather a millisecond late than early.
  const untilNs = isWallTime ? BigInt(Date.now() + 1) * 1_000_000n + timer.valueNs : null;
  return { kind: "timerfd", ...timer, untilNs };
}

function sortInotify(pid: number, { fd, info }: OpenDescriptor): Sort {
  const unread = waitingBytes(pid, fd);
  if (unread > 0) return { refused: `an inotify instance with ${unread} bytes of unread events` };
  const found = inotifyWatches(info).map((watch) => ({ ...watch, path: pathOfHandle(watch) }));
  const watches = found.flatMap(({ wd, mask, dev, ino, path }) =>
    path === null ? [] : [{ wd, mask, dev, ino, path }],
  );
  const lost = found.find(({ path }) => path === null);
  if (lost)
    return { refused: `an inotify instance that watches a file whose path is not found (inode ${lost.ino})` };
  const highest = watches.at(-1)?.wd ?? 0;
  if (highest > WATCH_DESCRIPTOR_MAX)
    return { refused: `an inotify instance with the watch descriptor ${highest}` };
  return { kind: "inotify", object: { kind: "inotify", watches } };
}

function sortMemfd(pid: number, { fd, link, stat }: OpenDescriptor): Sort {
  const seals = sealsOf(pid, fd);
  if (seals & ~F_SEAL_KNOWN) return { refused: `a memfd (${link}) with the seals 0x${seals.toString(16)}` };
  if (stat.blksize > 4096n) return { refused: `a memfd (${link}) of huge pages` };
  const name = link.slice(MEMFD.length, link.endsWith(DELETED) ? -DELETED.length : undefined);
  return { kind: "memfd", object: { kind: "memfd", name, seals } };
}

/** A file of /proc or /sys: opened again by name, where what it shows does not depend on what was read before. */
export function sortKernelFile(one: OpenDescriptor, { pid }: Surroundings): Sort {
  const { link, flags, stat } = one;
  const [, other] = /^\/proc\/(\d+)(?:\/|$)/.exec(link) ?? [];
  const [, thread] = /^\/proc\/\d+\/task\/(\d+)/.exec(link) ?? [];
  const self = innerPid(pid);
  const own =
    other !== undefined && Number(other) === self && (thread === undefined || Number(thread) === self);
  const plain =
    other === undefined && (flags & O_ACCMODE) === O_RDONLY && !/^\/proc\/kmsg|^\/sys\/kernel\//.test(link);
  if ((own || plain) && (stat.isFile() || stat.isDirectory())) return { kind: "kernel", object: null };
  return { refused: `a file of the kernel (${link})` };
}
