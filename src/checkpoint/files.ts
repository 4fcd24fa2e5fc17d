/** Descriptors: told apart by kind, grouped by open file description, or refused by name. */
import { statfsSync } from "node:fs";
import { formatDevice } from "../host/device-number.js";
import type { Descriptor, FileDescription, FileState } from "../state/fd.js";
import { type OpenDescriptor, sameDescription } from "../tracee/descriptors.js";
import { pathInside } from "../tracee/maps.js";
import { isSameFile } from "./by-name.js";
import type { Refusal } from "./refusal.js";

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

/** What the descriptors are, and the ones that cannot be saved. */
export function classifyFiles(
  pid: number,
  open: readonly OpenDescriptor[],
): { readonly files: FileState; readonly refusals: readonly Refusal[] } {
  const descriptions: FileDescription[] = [];
  const descriptors: Descriptor[] = [];
  const refusals: Refusal[] = [];
  const first: OpenDescriptor[] = [];
  for (const one of open) {
    let index = first.findIndex((other) => mayBeSame(one, other) && sameDescription(pid, one.fd, other.fd));
    if (index < 0) {
      index = first.push(one) - 1;
      const sort = kindOf(pid, one);
      if (typeof sort === "string") descriptions.push(describe(one, index, sort));
      else refusals.push({ kind: "descriptor", id: `fd:${one.fd}`, what: sort.refused });
    }
    descriptors.push({ fd: one.fd, description: index, cloexec: one.cloexec });
  }
  refusals.push(...lostWatches(open));
  return { files: { descriptions, descriptors }, refusals };
}

/** Epoll keeps watching a file whose descriptor was closed while a duplicate is open: nobody can add that again. */
function lostWatches(open: readonly OpenDescriptor[]): Refusal[] {
  const inodes = new Map(open.map(({ fd, stat }) => [fd, stat.ino]));
  return open.flatMap(({ fd, watches }) => {
    const lost = watches.filter((watch) => inodes.get(watch.fd) !== watch.ino);
    if (lost.length === 0) return [];
    const list = lost.map((watch) => watch.fd).join(", ");
    return [
      { kind: "descriptor", id: `fd:${fd}`, what: `an epoll that watches closed descriptors (${list})` },
    ];
  });
}

/** A cheap test before asking the kernel. */
function mayBeSame(a: OpenDescriptor, b: OpenDescriptor): boolean {
  return a.link === b.link && a.stat.ino === b.stat.ino && a.flags === b.flags && a.position === b.position;
}

function kindOf(pid: number, one: OpenDescriptor): Kind | { readonly refused: string } {
  const { link, stat } = one;
  if (one.locks > 0) return { refused: `a lock on ${link}` };
  if (one.flags & O_PATH) return { refused: `a path-only descriptor (O_PATH) of ${link}` };
  if (/^(pipe|socket):\[/.test(link) || stat.isFIFO() || stat.isSocket()) return outside(one);
  if (link.startsWith("/memfd:")) return { refused: `a memfd (${link})` };
  if (link === "anon_inode:[eventpoll]") return "epoll";
  if (link.startsWith("anon_inode:")) return { refused: `${link.slice("anon_inode:".length)} (${link})` };
  if (link.startsWith("/proc/") || link.startsWith("/sys/"))
    return { refused: `a file of the kernel (${link})` };
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

/** Standard descriptors may lead outside: a restore attaches them to the caller's. */
function outside(one: OpenDescriptor): Kind | { readonly refused: string } {
  if (one.fd <= STANDARD_FDS_MAX) return "outside";
  return { refused: `${one.stat.isSocket() ? "a socket" : "a pipe"} (${one.link})` };
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

function describe(one: OpenDescriptor, id: number, kind: Kind): FileDescription {
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
  };
}
