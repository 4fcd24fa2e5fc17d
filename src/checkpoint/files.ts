/** Descriptors: told apart by kind, grouped by open file description, or refused by name. */
import { statfsSync } from "node:fs";
import { formatDevice } from "../host/device-number.js";
import type { Descriptor, FileDescription, FileState } from "../state/fd.js";
import { type OpenDescriptor, sameDescription, stillWatched } from "../tracee/descriptors.js";
import { pathInside } from "../tracee/maps.js";
import { isNativeError } from "../tracee/native-error.js";
import { isSameFile } from "./by-name.js";
import { locksOfDescription, ownerOfDescription } from "./description-status.js";
import { FarEnds } from "./far-ends.js";
import { type Sort, type Surroundings, sortAnonymous, sortKernelFile, sortPipe } from "./objects.js";
import { ptyLinks, sortPty } from "./ptys.js";
import type { Refusal } from "./refusal.js";
import { sortSocket } from "./sockets.js";

const S_IFMT = 0o170000n;
const S_IFREG = 0o100000n;
const S_IFDIR = 0o040000n;
const S_IFCHR = 0o020000n;
const DELETED = " (deleted)";
/** Memory devices without state (admin-guide/devices.txt): null, zero, full, random, urandom. */
const PLAIN_DEVICES = new Set(["1:3", "1:5", "1:7", "1:8", "1:9"]);
const STANDARD_FDS_MAX = 2;
const O_PATH = 0o10000000;
/** linux/magic.h */
const MQUEUE_MAGIC = 0x1980_0202;

type Kind = FileDescription["kind"];
type Kept = Exclude<Sort, { readonly refused: string }>;

/** What the descriptors are, and the ones that cannot be saved. */
export function classifyFiles(
  pid: number,
  open: readonly OpenDescriptor[],
  farEnds: FarEnds = new FarEnds(),
): { readonly files: FileState; readonly refusals: readonly Refusal[] } {
  const descriptions: FileDescription[] = [];
  const descriptors: Descriptor[] = [];
  const refusals: Refusal[] = [];
  const first: OpenDescriptor[] = [];
  const shared = open.filter(({ stat }) => stat.isFIFO() || stat.isSocket()).map(({ link }) => link);
  farEnds.look(pid, [...shared, ...ptyLinks(open)]);
  const around: Surroundings = { pid, open, farEnds };
  for (const one of open) {
    let index = first.findIndex((other) => mayBeSame(one, other) && sameDescription(pid, one.fd, other.fd));
    if (index < 0) {
      index = first.push(one) - 1;
      const found = look(one, around);
      if (found === null) continue;
      const { sort, status } = found;
      for (const what of [...("refused" in sort ? [sort.refused] : []), ...status.refusals]) {
        refusals.push({ kind: "descriptor", id: `fd:${one.fd}`, what, skip: `fd:${one.fd}` });
      }
      if (!("refused" in sort)) descriptions.push({ ...describe(one, index, sort), ...status.kept });
    }
    descriptors.push({ fd: one.fd, description: index, cloexec: one.cloexec });
  }
  refusals.push(...lostWatches(pid, open));
  return { files: { descriptions, descriptors }, refusals };
}

/** What it is and what hangs on it; null when it was closed in between. */
function look(one: OpenDescriptor, around: Surroundings) {
  try {
    return { sort: sortOf(one, around), status: statusOf(around.pid, one) };
  } catch (error) {
    if (isNativeError(error, "EBADF", "ESRCH")) return null;
    throw error;
  }
}

/** Epoll keeps watching a file whose descriptor was closed while a duplicate is open: nobody can add that again. */
function lostWatches(pid: number, open: readonly OpenDescriptor[]): Refusal[] {
  return open.flatMap(({ fd, watches }) => {
    const twice = new Set(watches.map((watch) => watch.fd)).size < watches.length;
    const lost = watches.filter((watch) => twice || !stillWatched(pid, fd, watch.fd));
    if (lost.length === 0) return [];
    const list = lost.map((watch) => watch.fd).join(", ");
    return [
      {
        kind: "descriptor",
        id: `fd:${fd}`,
        what: `an epoll that watches closed descriptors (${list})`,
        skip: `fd:${fd}`,
      },
    ];
  });
}

/** A cheap test before asking the kernel. */
function mayBeSame(a: OpenDescriptor, b: OpenDescriptor): boolean {
  return a.link === b.link && a.stat.ino === b.stat.ino && a.flags === b.flags && a.position === b.position;
}

function sortOf(one: OpenDescriptor, around: Surroundings): Sort {
  const { link, stat } = one;
  if (one.flags & O_PATH) return pathOnly(one, around.pid);
  if (stat.isFIFO()) return sortPipe(one, around);
  if (stat.isSocket()) {
    const sort = sortSocket(one, around);
    return "refused" in sort && one.fd <= STANDARD_FDS_MAX ? asSort("outside") : sort;
  }
  const anonymous = sortAnonymous(one, around) ?? sortPty(one, around);
  if (anonymous !== null) return anonymous;
  if (link.startsWith("/proc/") || link.startsWith("/sys/")) return sortKernelFile(one, around);
  return asSort(fileKind(around.pid, one));
}

function asSort(kind: Kind | { readonly refused: string }): Sort {
  return typeof kind === "string" ? { kind, object: null } : kind;
}

function pathOnly({ link, stat }: OpenDescriptor, pid: number): Sort {
  if (isSameFile(pid, link, stat.ino)) return { kind: "path", object: null };
  return { refused: `a path-only descriptor (O_PATH) of ${link}, which is not found by this name` };
}

/** Owner and locks of an open file description. */
function statusOf(
  pid: number,
  one: OpenDescriptor,
): { readonly kept: Pick<FileDescription, "owner" | "locks">; readonly refusals: readonly string[] } {
  const owner = ownerOfDescription(pid, one);
  const locks = locksOfDescription(one);
  return {
    kept: { owner: owner.kept, locks: locks.kept },
    refusals: [...owner.refusals, ...locks.refusals],
  };
}

function fileKind(pid: number, one: OpenDescriptor): Kind | { readonly refused: string } {
  const { link, stat } = one;
  switch (stat.mode & S_IFMT) {
    case S_IFREG:
      return regularKind(pid, one);
    case S_IFDIR:
      return folderKind(pid, one);
    case S_IFCHR:
      return deviceKind(one);
    default:
      return { refused: link };
  }
}

/** A file must be found again by its name, unless it has none left and goes into the core. */
function regularKind(pid: number, { link, stat }: OpenDescriptor): Kind | { readonly refused: string } {
  if (link.endsWith(DELETED) && stat.nlink === 0n) return "regular";
  if (isSameFile(pid, link, stat.ino))
    return isQueue(pid, link) ? { refused: `a message queue (${link})` } : "regular";
  if (link.endsWith(DELETED)) return { refused: `${link}, which has another name by now (hard link)` };
  return { refused: `${link}, which cr does not find by this name` };
}

function folderKind(pid: number, { link, stat }: OpenDescriptor): Kind | { readonly refused: string } {
  if (stat.nlink === 0n) return { refused: `the deleted folder ${link}` };
  return isSameFile(pid, link, stat.ino)
    ? "directory"
    : { refused: `the folder ${link}, which cr does not find by this name` };
}

/** POSIX message queues (mq_overview(7)) look like files, where their file system is mounted. */
function isQueue(pid: number, link: string): boolean {
  return statfsSync(pathInside(pid, link)).type === MQUEUE_MAGIC;
}

function deviceKind(one: OpenDescriptor): Kind | { readonly refused: string } {
  const device = formatDevice(one.stat.rdev);
  if (PLAIN_DEVICES.has(device)) return "device";
  const major = Number(device.split(":")[0]);
  // 4 and 5: consoles, serial lines, /dev/tty; 136 to 143: pseudo-terminals. 5:2 is the master side, ptmx.
  const isTerminal = major === 4 || (major === 5 && device !== "5:2") || (major >= 136 && major <= 143);
  if (isTerminal && (one.fd <= STANDARD_FDS_MAX || device === "5:0")) return "terminal";
  return { refused: `${isTerminal ? "the terminal" : "the device"} ${one.link}` };
}

function describe(one: OpenDescriptor, id: number, { kind, object }: Kept): FileDescription {
  const { stat } = one;
  const deleted = kind === "regular" && stat.nlink === 0n;
  const path = deleted && one.link.endsWith(DELETED) ? one.link.slice(0, -DELETED.length) : one.link;
  return {
    id,
    kind,
    path,
    deleted,
    flags: one.flags,
    position: one.position,
    dev: formatDevice(stat.dev),
    ino: stat.ino,
    mode: Number(stat.mode),
    rdev: formatDevice(stat.rdev),
    uid: Number(stat.uid),
    gid: Number(stat.gid),
    sizeBytes: Number(stat.size),
    mtimeNs: stat.mtimeNs,
    content: null,
    watches: kind === "epoll" ? one.watches.map(({ fd, events, data }) => ({ fd, events, data })) : null,
    object,
    owner: null,
    locks: [],
  };
}
