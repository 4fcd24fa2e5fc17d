/**
 * Files that were deleted while the program had them open. Their bytes are in the core; the file is made again
 * under its old name (so that /proc shows it), opened as often as it was, and deleted again at once.
 */
import {
  closeSync,
  constants,
  fchmodSync,
  fchownSync,
  fstatSync,
  ftruncateSync,
  futimesSync,
  openSync,
  readSync,
  unlinkSync,
} from "node:fs";
import { basename, dirname } from "node:path";
import { CrError, isErrno } from "../errors.js";
import { writeAll } from "../file-bytes.js";
import { inFolder, reopenDescriptor } from "../host/own-descriptors.js";
import { PAGE_BYTES, RUN_BYTES_MAX } from "../state/address.js";
import type { FileDescription } from "../state/fd.js";
import { crc32cRanges } from "../tracee/native.js";
import { ownCall } from "../tracee/own-call.js";
import { openStraight } from "../tracee/straight-path.js";
import { coreOf } from "./content.js";
import { openFailed } from "./file-look.js";
import { type Piece, writePieces } from "./mapped-files.js";
import { openFlags } from "./open-flags.js";

/** Names tried before giving up: the old one, then one with a number behind. */
const NAMES_MAX = 100;
const O_PATH = 0o10000000;
const MFD_CLOEXEC = 1;
/** Characters; the kernel takes 249 bytes (memfd_create(2)). */
const MEMFD_NAME_MAX = 60;
const CHUNK_BYTES = 1 << 20;
const ZERO_PAGE = Buffer.alloc(PAGE_BYTES);

export interface Recreated {
  /** One for each description, in their order. */
  readonly fds: readonly number[];
  /** It could not be made in its folder and is a memfd. */
  readonly elsewhere: boolean;
}

/**
 * Makes the file that all of `descriptions` (at least one) had open and opens it once for each of them: the
 * descriptors in their order. `mapped` has what mappings showed of it, and whether nothing else leads to it. FILE_MISSING
 * when the core does not hold its content or its folder is gone.
 */
export function recreateDeleted(
  descriptions: readonly FileDescription[],
  coreFd: number,
  mapped: { readonly pieces: readonly Piece[]; readonly only: boolean } | null = null,
): Recreated {
  const [first] = descriptions;
  if (first === undefined) return { fds: [], elsewhere: false };
  const stored = descriptions.find(({ content }) => content !== null) ?? first;
  if (stored.content === null && first.sizeBytes > 0 && mapped === null) {
    throw new CrError(
      "FILE_MISSING",
      `open ${first.path}: it was deleted and its content is not in the core`,
      {
        hint: "take a new checkpoint; deleted files are kept in the core",
        data: { path: first.path },
      },
    );
  }
  checkContent(stored, coreFd);
  const made = mapped?.only ? createAnywhere(first.path) : createUnderOwnName(first.path);
  const opened: number[] = [];
  try {
    copyFromCore(stored, coreFd, made.fd);
    writePieces(coreFd, { fd: made.fd, sizeBytes: stored.sizeBytes }, mapped?.pieces ?? []);
    // Opened before the mode is set: it may forbid what the program once had.
    for (const description of descriptions) opened.push(openMade(made, openFlags(description)));
    if (made.path !== null) setAttributes(made.fd, first);
  } catch (error) {
    for (const fd of opened) closeSync(fd);
    throw error instanceof CrError ? error : openFailed(first.path, error);
  } finally {
    if (made.path !== null) unlinkSync(made.path);
    if (made.folder !== null) closeSync(made.folder);
    closeSync(made.fd);
  }
  return { fds: opened, elsewhere: made.path === null };
}

/** O_NOFOLLOW forbids the way through /proc/self/fd, so a file opened with it is opened while it has a name. */
function openMade(made: Made, flags: number): number {
  return flags & constants.O_NOFOLLOW && made.path !== null
    ? openSync(made.path, flags)
    : reopenDescriptor(made.fd, flags);
}

interface Made {
  /** Null for a file that has no name; else by way of its folder. */
  readonly path: string | null;
  /** Descriptor of that, so that a folder which somebody puts in its place is left alone. */
  readonly folder: number | null;
  readonly fd: number;
}

/** What is only mapped may be in memory, where its folder is gone or not ours to write in (`/usr/lib` of an upgrade). */
function createAnywhere(path: string): Made {
  try {
    return createUnderOwnName(path);
  } catch (error) {
    const codes = ["FILE_MISSING", "NOT_PERMITTED"];
    const isReadOnly = isErrno((error as Error).cause, "EROFS");
    if (!isReadOnly && !(error instanceof CrError && codes.includes(error.code))) throw error;
    const name = Buffer.from(`${basename(path).slice(0, MEMFD_NAME_MAX)}\0`);
    return { path: null, folder: null, fd: ownCall("memfd_create", name, MFD_CLOEXEC) };
  }
}

/** The program would read these bytes unseen by any other check. */
function checkContent({ content, path }: FileDescription, coreFd: number): void {
  if (content === null) return;
  const ranges = Array.from({ length: Math.ceil(content.lengthBytes / RUN_BYTES_MAX) }, (_, index) => ({
    fileOffset: content.fileOffset + index * RUN_BYTES_MAX,
    lengthBytes: Math.min(RUN_BYTES_MAX, content.lengthBytes - index * RUN_BYTES_MAX),
  }));
  const found = crc32cRanges(coreOf(content, coreFd), ranges);
  const bad = ranges.find((_, index) => found[index] !== content.crc32c[index]);
  if (bad === undefined) return;
  throw new CrError(
    "CORE_CORRUPT",
    `read the content of the deleted file ${path} from the core: its checksum at byte ${bad.fileOffset} is wrong`,
    { hint: "cr verify tells what else is damaged; restore an older checkpoint" },
  );
}

function createUnderOwnName(path: string): Made {
  const flags = constants.O_RDWR | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW;
  const folder = openFolder(path);
  for (let attempt = 0; attempt < NAMES_MAX; attempt += 1) {
    const name = attempt === 0 ? basename(path) : `${basename(path)}.${process.pid}.${attempt}`;
    const within = inFolder(folder, name);
    try {
      return { path: within, folder, fd: openSync(within, flags, 0o600) };
    } catch (error) {
      if (isErrno(error, "EEXIST")) continue;
      closeSync(folder);
      throw openFailed(path, error);
    }
  }
  closeSync(folder);
  throw new CrError("RESTORE_FAILED", `make ${path} again: ${NAMES_MAX} names for it are taken`);
}

function openFolder(path: string): number {
  try {
    return openStraight(dirname(path), O_PATH | constants.O_DIRECTORY);
  } catch (error) {
    throw openFailed(path, error);
  }
}

/** Zero pages are left out, so that a sparse file comes back sparse. */
function copyFromCore(stored: FileDescription, coreFd: number, fd: number): void {
  const { content, sizeBytes, path } = stored;
  const lengthBytes = Math.min(content?.lengthBytes ?? 0, sizeBytes);
  const chunk = Buffer.alloc(CHUNK_BYTES);
  const from = content ? coreOf(content, coreFd) : coreFd;
  for (let at = 0; at < lengthBytes; ) {
    const wanted = Math.min(CHUNK_BYTES, lengthBytes - at);
    const read = readSync(from, chunk, 0, wanted, (content?.fileOffset ?? 0) + at);
    if (read === 0) {
      throw new CrError(
        "CORE_TRUNCATED",
        `read the content of ${path} from the core: ${lengthBytes - at} bytes are missing`,
      );
    }
    writeSparse(fd, chunk.subarray(0, read), at);
    at += read;
  }
  ftruncateSync(fd, sizeBytes);
}

function writeSparse(fd: number, bytes: Buffer, offset: number): void {
  for (let at = 0; at < bytes.length; ) {
    const start = at;
    while (at < bytes.length && !isZeroPage(bytes, at)) at += PAGE_BYTES;
    if (at > start) writeAll(fd, bytes.subarray(start, at), offset + start);
    while (at < bytes.length && isZeroPage(bytes, at)) at += PAGE_BYTES;
  }
}

function isZeroPage(bytes: Buffer, at: number): boolean {
  const page = bytes.subarray(at, at + PAGE_BYTES);
  return page.equals(ZERO_PAGE.subarray(0, page.length));
}

function setAttributes(fd: number, { mode, uid, gid, mtimeNs }: FileDescription): void {
  const stat = fstatSync(fd);
  if (stat.uid !== uid || stat.gid !== gid) fchownSync(fd, uid, gid);
  fchmodSync(fd, mode & 0o7777);
  const seconds = Number(mtimeNs) / 1e9;
  futimesSync(fd, seconds, seconds);
}
