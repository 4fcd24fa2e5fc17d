/**
 * Files that the core holds whole (`cr checkpoint --files snapshot`) are put back before the program's files are
 * looked at, in place, so that a file keeps its inode. What stood there is saved beside the core first, and all of it
 * is undone unless the program starts.
 */
import {
  closeSync,
  constants,
  fchmodSync,
  fchownSync,
  fstatSync,
  fsyncSync,
  ftruncateSync,
  openSync,
  unlinkSync,
} from "node:fs";
import { basename } from "node:path";
import { CrError, isErrno } from "../errors.js";
import { formatDevice } from "../host/device-number.js";
import { otherUsersOfAll } from "../host/file-users.js";
import { RUN_BYTES_MAX } from "../state/address.js";
import type { FileState } from "../state/fd.js";
import type { Snapshot } from "../state/snapshot.js";
import type { SoftError } from "../state/soft-error.js";
import { mapsDevice, otherMappers } from "../tracee/maps.js";
import { crc32cRanges } from "../tracee/native.js";
import { openStraight } from "../tracee/straight-path.js";
import { openFailed } from "./file-look.js";
import type { FilesPolicy } from "./regular-file.js";
import { copyBytes, createBeside, setTime } from "./rollback.js";

const MODE_BITS = 0o7777;

export interface SnapshotOptions {
  readonly policy: FilesPolicy;
  readonly coreFd: number;
  readonly corePath: string;
}

/** Disposing undoes everything, unless `keep` was called. */
export interface PutBack extends Disposable {
  /** The recorded files, with the inodes that those have which had to be made again. */
  readonly files: FileState;
  readonly softErrors: readonly SoftError[];
  /** Names of all files that are as recorded now, whatever their inode. */
  readonly paths: ReadonlySet<string>;
  keep(): void;
}

/** Where a file's later content is, and how to bring it back. */
interface Change {
  readonly soft: SoftError;
  undo(): void;
}

/**
 * Puts all of them back, none with `--files keep`. FILE_CHANGED when another process can write to one, NOT_PERMITTED
 * or RESTORE_FAILED when one cannot be written; then all are as they were.
 */
export function putSnapshotsBack(files: FileState, options: SnapshotOptions): PutBack {
  const changes: Change[] = [];
  const undo = () => {
    for (const change of changes.splice(0).reverse()) change.undo();
  };
  const wanted = options.policy === "rollback" ? (files.snapshots ?? []) : [];
  try {
    const found = wanted.map((snapshot) => ({ snapshot, fd: openOrNull(snapshot.path) }));
    try {
      for (const { snapshot, fd } of found) if (fd !== null) requireAlone(snapshot.path, fd);
      for (const one of found) {
        const change = putOne(one.snapshot, one.fd, options);
        if (change !== null) changes.push(change);
      }
    } finally {
      for (const { fd } of found) if (fd !== null) closeSync(fd);
    }
    const softErrors = changes.map(({ soft }) => soft);
    return {
      files: withInodes(files, wanted),
      softErrors,
      paths: new Set(wanted.map(({ path }) => path)),
      keep: () => void changes.splice(0),
      [Symbol.dispose]: undo,
    };
  } catch (error) {
    undo();
    throw error;
  }
}

function openOrNull(path: string): number | null {
  try {
    const fd = openStraight(path, constants.O_RDWR | constants.O_NONBLOCK);
    if (fstatSync(fd).isFile()) return fd;
    closeSync(fd);
  } catch (error) {
    if (isErrno(error, "ENOENT")) return null;
    throw openFailed(path, error);
  }
  throw changed(path, "it is no regular file any more");
}

function requireAlone(path: string, fd: number): void {
  const { dev, ino } = fstatSync(fd, { bigint: true });
  const id = { dev: formatDevice(dev), ino };
  const [other] = otherUsersOfAll([id], [process.pid]);
  if (other !== undefined) throw changed(path, `process ${other.pid} (${other.comm}) uses it, too`);
  // Who only reads it would see it change under its hands.
  const [reader] = otherMappers(process.pid, { ino, dev: mapsDevice(id.dev) });
  if (reader !== undefined) throw changed(path, `process ${reader} has it mapped`);
}

function changed(path: string, what: string): CrError {
  return new CrError("FILE_CHANGED", `put the file ${path} back: ${what}`, {
    hint: "end what uses it, or add --files keep to go on with all files as they are",
    data: { path },
  });
}

/** Null when the file is as it was. */
function putOne(snapshot: Snapshot, fd: number | null, options: SnapshotOptions): Change | null {
  if (fd === null) return snapshot.content === null ? null : makeAgain(snapshot, options);
  if (snapshot.content !== null && isSame(snapshot, fd)) {
    setTime(fd, snapshot.mtimeNs);
    return null;
  }
  const saved = save(snapshot.path, fd, options.corePath);
  const { path } = snapshot;
  if (snapshot.content !== null) {
    const undo = () => saved.writeBack(path);
    try {
      write(fd, snapshot, options.coreFd);
    } catch (error) {
      undo();
      throw error;
    }
    return { soft: remark(path, `was put back; what it held is saved in ${saved.path}`), undo };
  }
  unlinkSync(path);
  const what = `was not there at the checkpoint: it was removed, what it held is saved in ${saved.path}`;
  return { soft: remark(path, what), undo: () => saved.writeBack(path) };
}

function isSame({ content }: Snapshot, fd: number): boolean {
  if (content === null || fstatSync(fd).size !== content.lengthBytes) return false;
  const ranges = content.crc32c.map((_, index) => ({
    fileOffset: index * RUN_BYTES_MAX,
    lengthBytes: Math.min(RUN_BYTES_MAX, content.lengthBytes - index * RUN_BYTES_MAX),
  }));
  return crc32cRanges(fd, ranges).every((crc32c, index) => crc32c === content.crc32c[index]);
}

function makeAgain(snapshot: Snapshot, { coreFd }: SnapshotOptions): Change {
  const { path } = snapshot;
  const undo = () => unlinkSync(path);
  const fd = create(path);
  try {
    write(fd, snapshot, coreFd);
  } catch (error) {
    undo();
    throw error;
  } finally {
    closeSync(fd);
  }
  return { soft: remark(path, "was gone and was made again"), undo };
}

function create(path: string): number {
  try {
    return openStraight(path, constants.O_RDWR | constants.O_CREAT | constants.O_EXCL, 0o600);
  } catch (error) {
    throw openFailed(path, error);
  }
}

function write(fd: number, snapshot: Snapshot, coreFd: number): void {
  const { content, mode, uid, gid, mtimeNs } = snapshot;
  const lengthBytes = content?.lengthBytes ?? 0;
  ftruncateSync(fd, 0);
  copyBytes(coreFd, fd, { from: content?.fileOffset ?? 0, to: 0, lengthBytes });
  const stat = fstatSync(fd);
  if (stat.uid !== uid || stat.gid !== gid) fchownSync(fd, uid, gid);
  fchmodSync(fd, mode & MODE_BITS);
  fsyncSync(fd);
  setTime(fd, mtimeNs);
}

/** Saves what a file holds as `CORE.later.N.NAME`, on disk before anything is overwritten. */
function save(path: string, fd: number, corePath: string): { path: string; writeBack(to: string): void } {
  const stat = fstatSync(fd, { bigint: true });
  const lengthBytes = Number(stat.size);
  const beside = createBeside(corePath, `later`, basename(path));
  try {
    copyBytes(fd, beside.fd, { from: 0, to: 0, lengthBytes });
    fsyncSync(beside.fd);
  } catch (error) {
    unlinkSync(beside.path);
    throw error;
  } finally {
    closeSync(beside.fd);
  }
  return {
    path: beside.path,
    writeBack(to) {
      const from = openSync(beside.path, constants.O_RDONLY | constants.O_NOFOLLOW);
      const target = openOrNull(to) ?? create(to);
      try {
        ftruncateSync(target, 0);
        copyBytes(from, target, { from: 0, to: 0, lengthBytes });
        fchownSync(target, Number(stat.uid), Number(stat.gid));
        fchmodSync(target, Number(stat.mode) & MODE_BITS);
        setTime(target, stat.mtimeNs);
      } finally {
        closeSync(target);
        closeSync(from);
      }
      unlinkSync(beside.path);
    },
  };
}

/** A file that was made again, or stands under its name as another one, has another inode than was recorded. */
function withInodes(files: FileState, snapshots: readonly Snapshot[]): FileState {
  const paths = new Set(snapshots.flatMap(({ path, content }) => (content === null ? [] : [path])));
  const descriptions = files.descriptions.map((description) => {
    if (description.kind !== "regular" || description.deleted || !paths.has(description.path))
      return description;
    const fd = openSync(description.path, constants.O_RDONLY | constants.O_NOFOLLOW);
    const { ino, dev } = fstatSync(fd, { bigint: true });
    closeSync(fd);
    return { ...description, ino, dev: formatDevice(dev) };
  });
  return { ...files, descriptions };
}

function remark(path: string, what: string): SoftError {
  return { kind: "file", id: path, message: `file ${path} ${what}` };
}
