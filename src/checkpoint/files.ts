/** Descriptors: told apart by kind, grouped by open file description, or refused by name. */
import { formatDevice } from "../host/device-number.js";
import type { Descriptor, FileDescription, FileState } from "../state/fd.js";
import type { OpenDescriptor } from "../tracee/descriptors.js";
import { isNativeError } from "../tracee/native-error.js";
import { isSameFile } from "./by-name.js";
import { locksOfDescription, ownerOfDescription } from "./description-status.js";
import { firstHolder, groupByDescription, type Holding, watchesByMember } from "./descriptions.js";
import { FarEnds } from "./far-ends.js";
import { fileStatus } from "./file-status.js";
import { type Sort, type Surroundings, sortAnonymous, sortKernelFile, sortPipe } from "./objects.js";
import { queueLinks, sortQueue } from "./posix-queues.js";
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

type Kind = FileDescription["kind"];
type Kept = Exclude<Sort, { readonly refused: string }>;

/** Descriptors of one process, and what they are. */
export interface Classified {
  readonly files: FileState;
  readonly refusals: readonly Refusal[];
}

/** What the descriptors of a lone process are, and the ones that cannot be saved. */
export function classifyFiles(
  pid: number,
  open: readonly OpenDescriptor[],
  farEnds: FarEnds = new FarEnds(),
): Classified {
  return classifyTree([{ pid, open }], farEnds).get(pid) ?? new Findings().classified();
}

/**
 * The same for all processes of a tree: what several hold has one id and a record in each, and is refused only where it
 * leads out of the tree.
 */
export function classifyTree(members: readonly Holding[], farEnds: FarEnds): ReadonlyMap<number, Classified> {
  const open = members.flatMap((member) => member.open);
  const owners = new Map(members.flatMap(({ pid, open: own }) => own.map((one) => [one, pid] as const)));
  const links = open.filter(({ stat }) => stat.isFIFO() || stat.isSocket()).map(({ link }) => link);
  const pids = members.map(({ pid }) => pid);
  farEnds.look(pids, [...links, ...ptyLinks(open), ...queueLinks(open)]);
  const found = new Map(pids.map((pid) => [pid, new Findings()]));
  for (const [id, holders] of groupByDescription(members).entries()) {
    const first = firstHolder(holders);
    const sort = orGone(() =>
      sortOf(first.one, { pid: first.pid, open, farEnds, inTree: members.length > 1, owners }),
    );
    if (sort === null) continue;
    if ("refused" in sort) found.get(first.pid)?.refuse(first.one.fd, sort.refused, sort.passing);
    const watches = watchesByMember(holders);
    if (watches.lost.length > 0) {
      const list = watches.lost.join(", ");
      found.get(first.pid)?.refuse(first.one.fd, `an epoll that watches closed descriptors (${list})`);
    }
    for (const { pid, one } of holders) {
      const mine = {
        watches: watches.of.get(pid) ?? [],
        status: () => orGone(() => statusOf(pid, one, pids)),
      };
      found.get(pid)?.add(one, { id, sort, ...mine });
    }
  }
  return new Map([...found].map(([pid, findings]) => [pid, findings.classified()]));
}

/** What is known of a description from one of its holders. */
interface Found {
  readonly id: number;
  readonly sort: Sort;
  readonly watches: OpenDescriptor["watches"];
  /** Asked once a description and process. */
  readonly status: () => ReturnType<typeof statusOf> | null;
}

/** The descriptors of one process while they are told apart. */
class Findings {
  readonly #descriptions = new Map<number, FileDescription>();
  readonly #descriptors: Descriptor[] = [];
  readonly #refusals: Refusal[] = [];

  refuse(fd: number, what: string, passing = false): void {
    const skip = `fd:${fd}`;
    this.#refusals.push({ kind: "descriptor", id: skip, what, skip, ...(passing && { passing }) });
  }

  add(one: OpenDescriptor, { id, sort, watches, status }: Found): void {
    this.#descriptors.push({ fd: one.fd, description: id, cloexec: one.cloexec });
    if (this.#descriptions.has(id) || "refused" in sort) return;
    const { kept, refusals } = status() ?? { kept: {}, refusals: [] };
    for (const what of refusals) this.refuse(one.fd, what);
    this.#descriptions.set(id, {
      ...describe(one, id, sort),
      ...(sort.kind === "epoll" && { watches: watches.map(plainWatch) }),
      ...kept,
    });
  }

  classified(): Classified {
    const descriptors = this.#descriptors.sort((a, b) => a.fd - b.fd);
    return {
      files: { descriptions: [...this.#descriptions.values()], descriptors },
      refusals: this.#refusals,
    };
  }
}

function plainWatch({ fd, events, data }: OpenDescriptor["watches"][number]) {
  return { fd, events, data };
}

/** Null for what was closed in between. */
function orGone<T>(look: () => T): T | null {
  try {
    return look();
  } catch (error) {
    if (isNativeError(error, "EBADF", "ESRCH")) return null;
    throw error;
  }
}

function sortOf(one: OpenDescriptor, around: Surroundings): Sort {
  const { link, stat } = one;
  if (one.flags & O_PATH) return pathOnly(one, around.pid);
  if (stat.isFIFO()) return sortPipe(one, around);
  if (stat.isSocket()) {
    const sort = sortSocket(one, around);
    return "refused" in sort && one.fd <= STANDARD_FDS_MAX ? asSort("outside") : sort;
  }
  const anonymous = sortAnonymous(one, around) ?? sortPty(one, around) ?? sortQueue(one, around);
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

/** Owner and locks of an open file description; `pids` are the processes of the tree. */
function statusOf(
  pid: number,
  one: OpenDescriptor,
  pids: readonly number[],
): { readonly kept: Pick<FileDescription, "owner" | "locks">; readonly refusals: readonly string[] } {
  const owner = ownerOfDescription(pid, one, pids);
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
  if (isSameFile(pid, link, stat.ino)) return "regular";
  if (link.endsWith(DELETED)) return { refused: `${link}, which has another name by now (hard link)` };
  return { refused: `${link}, which cr does not find by this name` };
}

function folderKind(pid: number, { link, stat }: OpenDescriptor): Kind | { readonly refused: string } {
  if (stat.nlink === 0n) return { refused: `the deleted folder ${link}` };
  return isSameFile(pid, link, stat.ino)
    ? "directory"
    : { refused: `the folder ${link}, which cr does not find by this name` };
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
    ...fileStatus(stat),
    content: null,
    watches: null,
    object,
    owner: null,
    locks: [],
  };
}
