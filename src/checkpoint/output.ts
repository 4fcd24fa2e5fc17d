/**
 * The core's file on disk: unnamed while it is written, so that a killed cr leaves nothing; then fsync, a
 * temporary name, rename, fsync of the folder. Mode 0600, never through a symbolic link.
 */
import { closeSync, constants, fsyncSync, lstatSync, openSync, unlinkSync } from "node:fs";
import { totalmem } from "node:os";
import { dirname, join, resolve } from "node:path";
import { CrError, isErrno } from "../errors.js";
import { reopenDescriptor } from "../host/own-descriptors.js";
import { call } from "../tracee/native.js";
import { isNativeError } from "../tracee/native-error.js";
import { isBundle, moveIntoPlace, RENAME_NEW } from "./place.js";

/** O_TMPFILE of open(2) on x86-64, which Node does not name. */
const O_TMPFILE = 0o20200000;
const MODE = 0o600;
/**
 * The page cache takes data quicker than a disk, until so much of memory is dirty that the kernel slows its writers
 * down (vm.dirty_ratio, 20 % of what is available by default).
 */
const DIRECT_MEMORY_SHARE = 8;

export class OutputFile {
  readonly path: string;
  readonly fd: number;
  readonly #force: boolean;
  /** Name of the unfinished file in the folder; null while it has none. */
  #temporary: string | null;
  #done = false;
  #direct: number | null = null;

  private constructor(path: string, opened: { fd: number; temporary: string | null }, force: boolean) {
    this.path = path;
    this.fd = opened.fd;
    this.#temporary = opened.temporary;
    this.#force = force;
  }

  /** Checks the path and opens the unfinished file. OUTPUT_EXISTS, OUTPUT_UNSAFE, OUTPUT_FAILED. */
  static create(path: string, options: { readonly force: boolean }): OutputFile {
    const full = resolve(path);
    try {
      checkPath(full, options.force);
      return new OutputFile(full, openUnfinished(full), options.force);
    } catch (error) {
      throw outputFailed(full, error);
    }
  }

  /**
   * A second descriptor for bulk data that bypasses the page cache (O_DIRECT): faster, and other programs keep
   * their cache. For little data, or on a file system without it (tmpfs), the ordinary descriptor.
   */
  bulkFd(bytes: number): number {
    if (bytes < totalmem() / DIRECT_MEMORY_SHARE) return this.fd;
    try {
      this.#direct ??= reopenDescriptor(this.fd, constants.O_WRONLY | constants.O_DIRECT);
      return this.#direct;
    } catch (error) {
      if (isErrno(error, "EINVAL", "EOPNOTSUPP", "ENOTSUP")) return this.fd;
      throw error;
    }
  }

  /** One more unfinished file in the same folder. */
  another(): OutputFile {
    try {
      return new OutputFile(this.path, openUnfinished(this.path), this.#force);
    } catch (error) {
      throw outputFailed(this.path, error);
    }
  }

  /** Makes the file durable under its name; afterwards the core is whole and survives a crash of the machine. */
  commit(): void {
    try {
      fsyncSync(this.fd);
      this.#temporary ??= this.#giveName(temporaryName(this.path));
      moveIntoPlace(this.#temporary, this.path, this.#force);
      this.#temporary = null;
      syncFolder(dirname(this.path));
      this.#done = true;
    } catch (error) {
      throw outputFailed(this.path, error);
    }
  }

  /** Makes the file durable as `path`, a new name in a folder that is not in its place yet and is synced later. */
  commitInto(path: string): void {
    fsyncSync(this.fd);
    if (this.#temporary === null) this.#giveName(path);
    else call("cr_rename", this.#temporary, path, RENAME_NEW);
    this.#temporary = null;
    this.#done = true;
  }

  #giveName(name: string): string {
    call("cr_link_fd", this.fd, name);
    return name;
  }

  /** Closes the file; an unfinished one is gone. */
  [Symbol.dispose](): void {
    if (this.#direct !== null) closeSync(this.#direct);
    closeSync(this.fd);
    if (this.#temporary !== null && !this.#done) unlinkSync(this.#temporary);
  }
}

function checkPath(path: string, force: boolean): void {
  const stat = lstatSync(path, { throwIfNoEntry: false });
  if (stat === undefined) return;
  const isOfTree = isBundle(path);
  if (!stat.isFile() && !isOfTree) {
    const what = stat.isSymbolicLink()
      ? "a symbolic link"
      : stat.isDirectory()
        ? "a folder"
        : "not a regular file";
    throw new CrError("OUTPUT_UNSAFE", `cannot write core ${path}: it is ${what}, required is a new file`, {
      hint: "choose another path with -o",
    });
  }
  if (!force) {
    const what = isOfTree ? "the folder of a checkpoint" : "the file";
    throw new CrError("OUTPUT_EXISTS", `cannot write core ${path}: ${what} exists`, {
      hint: "choose another path with -o, or replace it with --force",
    });
  }
}

function openUnfinished(path: string): { fd: number; temporary: string | null } {
  try {
    return { fd: openSync(dirname(path), O_TMPFILE | constants.O_RDWR, MODE), temporary: null };
  } catch (error) {
    // Some file systems (NFS, older overlayfs) have no unnamed files.
    if (!isErrno(error, "EOPNOTSUPP", "ENOTSUP", "EISDIR", "EINVAL")) throw error;
  }
  const temporary = temporaryName(path);
  const flags = constants.O_RDWR | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW;
  return { fd: openSync(temporary, flags, MODE), temporary };
}

/** Not made from the core's own name, which may be as long as names can be. */
export function temporaryName(path: string): string {
  return join(dirname(path), `.core.${process.pid}.${Date.now().toString(36)}.tmp`);
}

/** Makes the names in a folder durable. */
export function syncFolder(path: string): void {
  const fd = openSync(path, constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}

/** The error for a core that could not be written, by what the kernel said. */
export function outputFailed(path: string, error: unknown): unknown {
  const errno = isNativeError(error) ? null : (error as NodeJS.ErrnoException).code;
  const name = errno ?? (error as { errno?: string }).errno ?? "";
  if (name === "EEXIST") {
    return new CrError("OUTPUT_EXISTS", `cannot write core ${path}: the file exists by now`, {
      hint: "choose another path with -o, or replace it with --force",
      cause: error,
    });
  }
  const reason = REASONS[name];
  if (reason === undefined) return error;
  return new CrError("OUTPUT_FAILED", `cannot write core ${path}: ${reason[0]}`, {
    hint: reason[1],
    cause: error,
  });
}

const REASONS: Readonly<Record<string, readonly [string, string]>> = {
  ENOSPC: ["the disk is full", "free space there (df -h), or choose another place with -o"],
  EDQUOT: ["the disk quota is used up", "free space there, or choose another place with -o"],
  EFBIG: ["it would be larger than the file system or ulimit -f allows", "choose another place with -o"],
  ENOENT: ["the folder does not exist", "make it first: mkdir -p"],
  ENOTDIR: ["a part of the path is not a folder", "choose another path with -o"],
  ENAMETOOLONG: ["its name or path is too long", "choose another path with -o"],
  ELOOP: ["its path has too many symbolic links", "choose another path with -o"],
  EISDIR: ["it is a folder by now", "choose another path with -o"],
  EACCES: ["the folder is not writable for you", "choose another place with -o"],
  EPERM: ["the folder is not writable for you", "choose another place with -o"],
  EROFS: ["the file system is read-only", "choose another place with -o"],
  EIO: ["the disk reports an error", "look at dmesg, and choose another place with -o"],
};
