/**
 * What stands behind mappings without a name: memfds, deleted files, System V segments. Recorded once, or refused by
 * name; contents are copied by object-contents.ts.
 */
import { type BigIntStats, closeSync, fstatSync, openSync } from "node:fs";
import { isErrno } from "../errors.js";
import { formatDevice } from "../host/device-number.js";
import { otherUsersOfAll } from "../host/file-users.js";
import { hex } from "../state/address.js";
import type { FileDescription, MappedFile } from "../state/fd.js";
import { isNameless, isSegment, objectKey } from "../state/object-mapping.js";
import type { Segment } from "../state/segment.js";
import type { SoftError } from "../state/soft-error.js";
import type { Vma } from "../state/vma.js";
import { type OpenDescriptor, openTargetFile } from "../tracee/descriptors.js";
import { sealsOfFile } from "../tracee/fd-control.js";
import { mapFile, mappersOutside, objectOf, otherMappers, plainDevice } from "../tracee/maps.js";
import { readSegments } from "../tracee/segments.js";
import { type FileStatus, fileStatus } from "./file-status.js";
import { refusedMappings } from "./mappings.js";
import { ObjectIds } from "./object-ids.js";
import type { Refusal } from "./refusal.js";

const O_RDONLY = 0;
const O_RDWR = 2;
const DELETED = " (deleted)";
const MEMFD = "/memfd:";
const F_SEAL_KNOWN = 0x3f;

export interface ObjectsLook {
  /** The mappings, with length and time of what is behind them. */
  readonly vmas: readonly Vma[];
  readonly mapped: readonly MappedFile[];
  readonly segments: readonly Segment[];
  readonly refusals: readonly Refusal[];
  /** Files of which only the mapped part can be saved. */
  readonly softErrors: readonly SoftError[];
}

interface Around {
  readonly pid: number;
  readonly open: readonly OpenDescriptor[];
  /** All processes of its tree, and the ids that their files have. */
  readonly pids?: readonly number[];
  readonly ids?: ObjectIds;
}

interface Found {
  readonly mapped: readonly MappedFile[];
  readonly segment: Segment | null;
  /** Length and time of it; null when it cannot be opened: then all that is mapped of it is stored as memory. */
  readonly file: Vma["file"];
}

/** Looks at every object once. */
export function lookAtObjects(vmas: readonly Vma[], around: Around): ObjectsLook {
  const groups = new Map<string, Vma[]>();
  for (const vma of vmas.filter((one) => isNameless(one) && refusedMappings([one]).length === 0)) {
    groups.set(objectKey(vma), [...(groups.get(objectKey(vma)) ?? []), vma]);
  }
  const mapped: MappedFile[] = [];
  const segments: Segment[] = [];
  const refusals: Refusal[] = [];
  const softErrors: SoftError[] = [];
  const files = new Map<Vma, Vma["file"]>();
  const ids = around.ids ?? new ObjectIds(around.open.length, vmas);
  const known = { ...around, ids };
  for (const [key, group] of groups) {
    const found = lookAtOne(group, known, ids.of(key));
    if (typeof found === "string") {
      refusals.push({ kind: "mapping", id: hex(group[0]?.start ?? 0n), what: found });
      continue;
    }
    mapped.push(...found.mapped);
    if (found.segment !== null) segments.push(found.segment);
    if (found.file === null) softErrors.push(unseen(group));
    for (const vma of group) files.set(vma, found.file);
  }
  return {
    vmas: vmas.map((vma) => (files.has(vma) ? { ...vma, file: files.get(vma) ?? null } : vma)),
    mapped,
    segments,
    refusals,
    softErrors,
  };
}

function unseen([vma]: readonly Vma[]): SoftError {
  const message = `of ${vma?.path} only what is mapped is saved: cr may not open it (CAP_CHECKPOINT_RESTORE)`;
  return { kind: "mapping", id: hex(vma?.start ?? 0n), message };
}

/** What it is, or why it cannot be saved. */
function lookAtOne(
  group: readonly Vma[],
  around: Around & { readonly ids: ObjectIds },
  firstId: number,
): Found | string {
  const [vma] = group;
  if (vma === undefined) throw new RangeError("an object without mappings");
  if (isSegment(vma)) {
    return lookAtSegment(vma, group, around);
  }
  const what = `${vma.path.startsWith(MEMFD) ? "a memfd" : "a mapping of the deleted file"} (${vma.path})`;
  if (!vma.path.startsWith("/")) return what;
  const fd = openMapped(vma, around);
  if (fd === null) return lookFromOutside(group, { what, around, firstId });
  try {
    const stat = fstatSync(fd, { bigint: true });
    const seals = vma.path.startsWith(MEMFD) ? sealsOfFile(fd) : 0;
    if (!stat.isFile()) return `${what}, which is no regular file`;
    if (seals & ~F_SEAL_KNOWN) return `${what} with the seals 0x${seals.toString(16)}`;
    const shared = group.find(({ kind }) => kind === "shared-file");
    if (shared !== undefined && stat.nlink > 0n) return `${what}, which has another name by now (hard link)`;
    const look = (vma: Vma) => () => othersWith(vma, { pids: pidsOf(around), stat });
    const others = shared === undefined ? [] : around.ids.othersOf(objectKey(shared), look(shared));
    if (others.length > 0) return `${what}, shared with process ${others.join(", ")}`;
    const seen = fileStatus(stat);
    const file = { sizeBytes: seen.sizeBytes, mtimeNs: seen.mtimeNs, buildId: null };
    return { mapped: describeAll(group, { seen, seals, firstId }), segment: null, file };
  } finally {
    closeSync(fd);
  }
}

/** Nobody can reach more of it than is mapped, but by growing a mapping; its mode and seals are nobody's either. */
function lookFromOutside(
  group: readonly Vma[],
  { what, around, firstId }: { what: string; around: Around; firstId: number },
): Found | string {
  const [vma] = group;
  // Inodes of memfds are those of maps; of other files they may not be (overlayfs, btrfs).
  const isAmbiguous =
    !vma?.path.startsWith(MEMFD) && around.open.some(({ link }) => link === vma?.path + DELETED);
  if (vma === undefined || isAmbiguous) {
    return `${what} that cr may not open (CAP_CHECKPOINT_RESTORE), and a descriptor that may be of it`;
  }
  const shared = group.find(({ kind }) => kind === "shared-file");
  const others = shared === undefined ? [] : otherMappers(around.pid, shared);
  if (others.length > 0) return `${what}, shared with process ${others.join(", ")}`;
  const ends = group.map(({ start, end, offset }) => Number(offset + end - start));
  const seen: FileStatus = {
    dev: plainDevice(vma.dev),
    ino: vma.ino,
    mode: 0o100600,
    rdev: "0:0",
    uid: process.geteuid?.() ?? 0,
    gid: process.getegid?.() ?? 0,
    sizeBytes: Math.max(...ends),
    mtimeNs: 0n,
  };
  return { mapped: describeAll(group, { seen, seals: 0, firstId }), segment: null, file: null };
}

/** Through the mapping itself or, without the right to, through a descriptor of the same file. */
export function openMapped(vma: Vma, { pid, open }: Around): number | null {
  try {
    return openSync(mapFile(pid, vma), "r");
  } catch (error) {
    if (!isErrno(error, "EPERM", "EACCES", "ENOENT")) throw error;
  }
  const twin = open.find(({ link, stat }) => stat.ino === vma.ino && link === vma.path + DELETED);
  return twin === undefined ? null : openTargetFile(pid, twin.fd);
}

/** Live processes that map it, or can write to it. */
function othersWith(vma: Vma, { pids, stat }: { pids: readonly number[]; stat: BigIntStats }): number[] {
  const id = { dev: formatDevice(stat.dev), ino: stat.ino };
  const users = otherUsersOfAll([id], [...pids, process.pid]).map((user) => user.pid);
  return [...new Set([...(mappersOutside(pids, [vma]).get(objectOf(vma)) ?? []), ...users])];
}

function pidsOf({ pid, pids }: Around): readonly number[] {
  return pids ?? [pid];
}

/** One for each way it has to be open: a mapping that was never writable must not become it. */
function describeAll(
  group: readonly Vma[],
  { firstId, ...rest }: { readonly seen: FileStatus; readonly seals: number; readonly firstId: number },
): MappedFile[] {
  const writable = group.filter((vma) => vma.kind === "shared-file" && vma.flags.includes("mw"));
  const others = group.filter((vma) => !writable.includes(vma));
  const ways: [number, readonly Vma[]][] = [
    [O_RDWR, writable],
    [O_RDONLY, others],
  ];
  return ways
    .filter(([, vmas]) => vmas.length > 0)
    .map(([flags, vmas], index) => ({
      starts: vmas.map(({ start }) => start),
      file: describe(vmas[0]?.path ?? "", { ...rest, flags, id: firstId + index }),
    }));
}

function describe(
  path: string,
  { seen, seals, ...rest }: { seen: FileStatus; seals: number; flags: number; id: number },
): FileDescription {
  const isMemfd = path.startsWith(MEMFD);
  return {
    ...rest,
    ...seen,
    kind: isMemfd ? "memfd" : "regular",
    path: isMemfd ? path + DELETED : path,
    deleted: !isMemfd,
    position: 0n,
    content: null,
    watches: null,
    object: isMemfd ? { kind: "memfd", name: path.slice(MEMFD.length), seals } : null,
    owner: null,
    locks: [],
  };
}

function lookAtSegment(
  vma: Vma,
  group: readonly Vma[],
  around: Around & { readonly ids: ObjectIds },
): Found | string {
  const what = `a System V shared memory segment (id ${vma.ino}, ${vma.path})`;
  const info = readSegments().find(({ id }) => BigInt(id) === vma.ino);
  if (info === undefined) return `${what} that is in no list of this host`;
  if (info.attached > around.ids.attachedTo(objectKey(vma))) {
    const look = () => mappersOutside(pidsOf(around), [vma]).get(objectOf(vma)) ?? [];
    const others = around.ids.othersOf(objectKey(vma), look).join(", ");
    return `${what}, shared with process ${others || "that cr may not see"}`;
  }
  const { attached, ...segment } = info;
  const file = { sizeBytes: info.sizeBytes, mtimeNs: 0n, buildId: null };
  const starts = group.map(({ start }) => start);
  return { mapped: [], segment: { ...segment, starts, content: null }, file };
}
