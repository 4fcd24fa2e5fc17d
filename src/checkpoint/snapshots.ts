/**
 * `--files snapshot`: the regular files that a stopped process can write to go into the core whole, by reflink where
 * the file system can, and shared memory with a name in any case. With a database of SQLite go the files beside it that belong to it, or that they are not there.
 */
import { type BigIntStats, closeSync, constants, fstatSync, lstatSync, openSync, readSync } from "node:fs";
import { PAGE_BYTES } from "../state/address.js";
import type { FileDescription, FileState } from "../state/fd.js";
import type { Snapshot } from "../state/snapshot.js";
import type { Vma } from "../state/vma.js";
import { openTargetFile } from "../tracee/descriptors.js";
import { pathInside } from "../tracee/maps.js";
import { tryOwnCall } from "../tracee/own-call.js";
import { checksums, copyContent, type Place } from "./contents.js";
import { isSharedMemory } from "./shared-memory.js";

/** _IOW(0x94, 13, struct file_clone_range), ioctl_ficlonerange(2). */
const FICLONERANGE = 0x4020_940d;
const O_READ = constants.O_RDONLY | constants.O_NOFOLLOW;
const ACCESS = constants.O_WRONLY | constants.O_RDWR;
/** What every database file begins with (sqlite.org/fileformat2.html); a new one may still be empty. */
const SQLITE_MAGIC = "SQLite format 3\0";
const SQLITE_COMPANIONS = ["-journal", "-wal", "-shm"] as const;

/** What is kept: shared memory always, the files it has open for writing if they are wanted. */
export interface Kept {
  readonly files: FileState;
  readonly vmas: readonly Vma[];
  readonly opened: boolean;
}

/** Copies the files to `core.fileOffset` on; what was kept, and the offset behind the last one. Errors as of the copy. */
export function snapshotFiles(
  pid: number,
  { files, vmas, opened }: Kept,
  core: Place,
): { readonly snapshots: readonly Snapshot[]; readonly end: number } {
  const snapshots: Snapshot[] = [];
  let end = core.fileOffset;
  const keep = (path: string, fd: number) => {
    const { snapshot, lengthBytes } = snapshotOf(path, fd, { fd: core.fd, fileOffset: end });
    snapshots.push(snapshot);
    end += Math.ceil(lengthBytes / PAGE_BYTES) * PAGE_BYTES;
  };
  const memory = new Set(vmas.filter((vma) => isSharedMemory(pid, vma)).map(({ path }) => path));
  for (const path of memory) keep(path, openSync(pathInside(pid, path), O_READ));
  for (const description of opened ? writtenFiles(files) : []) {
    if (memory.has(description.path)) continue;
    const fd = openTargetFile(pid, description.fd);
    const isDatabase = isOfSqlite(fd);
    keep(description.path, fd);
    if (!isDatabase) continue;
    for (const path of SQLITE_COMPANIONS.map((suffix) => description.path + suffix)) {
      if (writtenFiles(files).some((other) => other.path === path)) continue;
      const outside = pathInside(pid, path);
      const stat = lstatSync(outside, { bigint: true, throwIfNoEntry: false });
      if (stat === undefined) snapshots.push(absent(path));
      else if (stat.isFile()) keep(path, openSync(outside, O_READ));
    }
  }
  return { snapshots, end };
}

/** One description, with a descriptor, for each file that has a name and may be written to. */
function writtenFiles(files: FileState): (FileDescription & { readonly fd: number })[] {
  const paths = new Set<string>();
  return files.descriptions.flatMap((description) => {
    const { kind, deleted, flags, path } = description;
    const fd = files.descriptors.find((one) => one.description === description.id)?.fd;
    if (kind !== "regular" || deleted || (flags & ACCESS) === 0 || fd === undefined || paths.has(path))
      return [];
    paths.add(path);
    return [{ ...description, fd }];
  });
}

function isOfSqlite(fd: number): boolean {
  const start = Buffer.alloc(SQLITE_MAGIC.length);
  const got = readSync(fd, start, 0, start.length, 0);
  return got === 0 || start.toString("latin1") === SQLITE_MAGIC;
}

/** Closes `fd`. */
function snapshotOf(path: string, fd: number, place: Place): { snapshot: Snapshot; lengthBytes: number } {
  const stat = fstatSync(fd, { bigint: true });
  const lengthBytes = Number(stat.size);
  if (clone(fd, place)) closeSync(fd);
  else copyContent(fd, place.fd, { at: place.fileOffset, size: lengthBytes });
  const { fileOffset } = place;
  const content = { fileOffset, lengthBytes, crc32c: checksums(place.fd, fileOffset, lengthBytes) };
  return { snapshot: { ...attributes(path, stat), content }, lengthBytes };
}

/** Shares all blocks with the core instead of copying them; false where that cannot be done. */
function clone(fd: number, place: Place): boolean {
  const range = Buffer.alloc(32);
  range.writeBigInt64LE(BigInt(fd), 0);
  range.writeBigUInt64LE(BigInt(place.fileOffset), 24);
  return tryOwnCall("ioctl", place.fd, FICLONERANGE, range) === 0;
}

function attributes(path: string, stat: BigIntStats): Omit<Snapshot, "content"> {
  const { mode, uid, gid, mtimeNs } = stat;
  return { path, mode: Number(mode), uid: Number(uid), gid: Number(gid), mtimeNs };
}

function absent(path: string): Snapshot {
  return { path, mode: 0, uid: 0, gid: 0, mtimeNs: 0n, content: null };
}
