/**
 * The core's file on disk: unnamed while it is written, so that a killed cr leaves nothing; then fsync, a
 * temporary name, rename, fsync of the folder. Mode 0600, never through a symbolic link.
 */
import { closeSync, constants, fsyncSync, lstatSync, openSync, unlinkSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { CrError, isErrno } from "../errors.js";
import { nameFile, renameAs } from "../tracee/file-names.js";
import { isNativeError } from "../tracee/native-error.js";
import { openUnnamed } from "../tracee/unnamed-file.js";
import { BulkFile } from "./bulk.js";
import { Pace } from "./pace.js";
import { packCore } from "./pack.js";
import { isBundle, moveIntoPlace } from "./place.js";
import { sendCore } from "./send.js";

/** O_TMPFILE of open(2) on x86-64, which Node does not name. */
const O_TMPFILE = 0o20200000;
const MODE = 0o600;
export interface OutputOptions {
  readonly force: boolean;
  /** Level of zstd at which the finished core is compressed; null or left out for a plain one. */
  readonly compress?: number | null;
  readonly pace?: Pace;
}

export class OutputFile {
  readonly path: string;
  /** How bulk data gets into the unfinished core. */
  readonly bulk: BulkFile;
  #fd: number;
  readonly #options: OutputOptions;
  /** Name of the unfinished file in the folder; null while it has none. */
  #temporary: string | null;
  #done = false;

  private constructor(path: string, opened: Unfinished, options: OutputOptions) {
    this.path = path;
    this.#fd = opened.fd;
    this.bulk = new BulkFile(opened.fd);
    this.#temporary = opened.temporary;
    this.#options = options;
  }

  /** The unfinished core. */
  get fd(): number {
    return this.#fd;
  }

  /** Checks the path and opens the unfinished file. OUTPUT_EXISTS, OUTPUT_UNSAFE, OUTPUT_FAILED. */
  static create(path: string, options: OutputOptions): OutputFile {
    const full = resolve(path);
    try {
      checkPath(full, options.force);
      return new OutputFile(full, openUnfinished(full), options);
    } catch (error) {
      throw outputFailed(full, error);
    }
  }

  /** A file that never gets a name: a core is sent from it (`send`). OUTPUT_FAILED. */
  static spool(options: OutputOptions): OutputFile {
    return new OutputFile("-", { fd: openUnnamed(), temporary: null }, options);
  }

  /** One more unfinished file in the same folder. */
  another(): OutputFile {
    if (this.path === "-") return OutputFile.spool(this.#options);
    try {
      return new OutputFile(this.path, openUnfinished(this.path), this.#options);
    } catch (error) {
      throw outputFailed(this.path, error);
    }
  }

  /** Makes the file durable under its name; afterwards the core is whole and survives a crash of the machine. */
  commit(): void {
    try {
      this.#compress(() => openUnfinished(this.path));
      fsyncSync(this.fd);
      this.#temporary ??= this.#giveName(temporaryName(this.path));
      moveIntoPlace(this.#temporary, this.path, this.#options.force);
      this.#temporary = null;
      syncFolder(dirname(this.path));
      this.#done = true;
    } catch (error) {
      throw outputFailed(this.path, error);
    }
  }

  /** Makes the file durable as `path`, a new name in a folder that is not in its place yet and is synced later. */
  commitInto(path: string): void {
    this.#compress(() => openUnfinished(this.path));
    fsyncSync(this.fd);
    if (this.#temporary === null) this.#giveName(path);
    else renameAs(this.#temporary, path, "new");
    this.#temporary = null;
    this.#done = true;
  }

  /** Writes the core as a stream to `fd`, which may take it as slowly as it likes. OUTPUT_FAILED. */
  send(fd: number): void {
    try {
      this.#compress(() => ({ fd: openUnnamed(), temporary: null }));
      sendCore(this.fd, fd);
    } catch (error) {
      throw outputFailed(this.path, error);
    }
  }

  /** Puts the compressed form in the place of the plain core, where it is wanted. */
  #compress(open: () => Unfinished): void {
    const { compress = null, pace = new Pace() } = this.#options;
    if (compress === null) return;
    const packed = open();
    try {
      packCore(this.#fd, packed.fd, { level: compress, manner: pace.later });
    } catch (error) {
      discard(packed);
      throw error;
    }
    discard({ fd: this.#fd, temporary: this.#temporary });
    this.#fd = packed.fd;
    this.#temporary = packed.temporary;
  }

  #giveName(name: string): string {
    nameFile(this.fd, name);
    return name;
  }

  /** Closes the file; an unfinished one is gone. */
  [Symbol.dispose](): void {
    this.bulk[Symbol.dispose]();
    discard({ fd: this.#fd, temporary: this.#done ? null : this.#temporary });
  }
}

/** An open file, and its name while it has one. */
interface Unfinished {
  readonly fd: number;
  readonly temporary: string | null;
}

function discard({ fd, temporary }: Unfinished): void {
  closeSync(fd);
  if (temporary !== null) unlinkSync(temporary);
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

function openUnfinished(path: string): Unfinished {
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
  EPIPE: ["whoever reads it has gone", "look why the program behind the pipe ended"],
  EIO: ["the disk reports an error", "look at dmesg, and choose another place with -o"],
};
