/**
 * Bytes that exist only behind a descriptor and go into the core after the memory: deleted files, and what waits
 * unread in a pipe on a standard descriptor.
 */
import { closeSync, constants, fstatSync, ftruncateSync, readSync } from "node:fs";
import { writeAll } from "../file-bytes.js";
import { PAGE_BYTES, RUN_BYTES_MAX } from "../state/address.js";
import type { FileDescription, FileState } from "../state/fd.js";
import { dataSpans } from "../tracee/data-spans.js";
import { openTargetFile } from "../tracee/descriptors.js";
import { crc32cRanges } from "../tracee/native.js";
import { isNativeError } from "../tracee/native-error.js";
import { peekPipe } from "../tracee/pipe.js";
import type { Dump } from "./connections.js";
import { isWaiting, type Sockets, waitingIn, withQueue } from "./queues.js";
import { unsupportedState } from "./refusal.js";
import { lastSeen } from "./refused-contents.js";
import type { StoredOnce } from "./stored-once.js";

const O_ACCMODE = 0o3;

/** Where in the core contents go. */
export interface Place {
  readonly fd: number;
  readonly fileOffset: number;
}

interface Contents extends Place {
  readonly once: StoredOnce;
  readonly sockets: Sockets;
  /** What is on its way in TCP connections, by inode. */
  readonly connections: ReadonlyMap<bigint, Dump>;
  /** Bytes that wait on standard input: without any it need not be opened, which may not be permitted. */
  readonly unreadInputBytes: number;
}

type Described = FileDescription & { readonly fd: number };

/**
 * Copies the contents behind descriptors of a stopped process to `fileOffset` on, each at a page boundary, holes
 * kept, and without what an earlier member of its tree has. Returns the descriptions with `content` and the offset
 * behind the last one.
 */
export function copyContents(
  pid: number,
  files: FileState,
  core: Contents,
): { readonly files: FileState; readonly end: number } {
  const { once } = core;
  let end = core.fileOffset;
  const descriptions = files.descriptions.map((given) => {
    const fd = files.descriptors.find((one) => one.description === given.id)?.fd ?? 0;
    const waiting = waitingIn(pid, { description: given, files, sockets: core.sockets });
    const object = once.object(given, () => withQueue(lastSeen(pid, fd, given.object), waiting));
    const description = { ...given, object };
    if (isMapped(description, files)) return description;
    const connection = core.connections.get(description.ino);
    if (connection !== undefined && description.object?.kind === "socket")
      description.object = { ...description.object, tcp: connection.tcp };
    const queued = isWaiting(waiting) ? waiting.bytes : (connection?.bytes ?? null);
    const isQueued = isWaiting(waiting) || (queued?.length ?? 0) > 0;
    if (!isContained(description, isQueued)) return description;
    // Descriptions of one pipe, memfd or deleted file have one content between them: it stays with the first.
    const name = `${description.dev}:${description.ino}`;
    const holder = once.holderOf(name);
    if (holder !== undefined) {
      return holder === null || holder === pid ? description : { ...description, contentIn: holder };
    }
    const lengthBytes =
      queued !== null
        ? copyBytes(queued, { fd: core.fd, fileOffset: end })
        : copyOne(pid, { ...description, fd }, { ...core, fileOffset: end });
    once.hold(name, lengthBytes === null ? null : pid);
    if (lengthBytes === null) return description;
    const content = { fileOffset: end, lengthBytes, crc32c: checksums(core.fd, end, lengthBytes) };
    end += Math.ceil(lengthBytes / PAGE_BYTES) * PAGE_BYTES;
    return { ...description, content } satisfies FileDescription;
  });
  return { files: { ...files, descriptions }, end };
}

/** Whether bytes may be behind it that are nowhere else. */
function isContained(description: FileDescription, isQueued: boolean): boolean {
  const { kind, deleted } = description;
  if (kind === "regular") return deleted;
  if (kind === "pipe" || kind === "outside") return isReadablePipe(description);
  return kind === "memfd" || isQueued;
}

/** Its bytes stand with its mappings (object-contents.ts). */
function isMapped({ kind, deleted, dev, ino }: FileDescription, { mapped = [] }: FileState): boolean {
  if (kind !== "memfd" && !(kind === "regular" && deleted)) return false;
  return mapped.some(({ file }) => file.dev === dev && file.ino === ino);
}

function hasContent(description: Described, unreadInputBytes: number): boolean {
  const { fd, kind, deleted } = description;
  if (kind === "regular") return deleted;
  if (kind === "memfd") return true;
  if (!isReadablePipe(description)) return false;
  return kind === "pipe" || (kind === "outside" && (fd !== 0 || unreadInputBytes > 0));
}

/** Copies what is behind one descriptor; its length in bytes, null when there is nothing to keep. */
function copyOne(pid: number, description: Described, place: Contents): number | null {
  const { fd, kind, sizeBytes } = description;
  if (!hasContent(description, place.unreadInputBytes)) return null;
  if (kind === "regular" || kind === "memfd") {
    const from = orRefuse(pid, description, () => openTargetFile(pid, fd));
    return copyContent(from, place.fd, { at: place.fileOffset, size: sizeBytes });
  }
  const bytes = orRefuse(pid, description, () => peekPipe(pid, fd));
  return bytes.length === 0 ? null : copyBytes(bytes, place);
}

/** What cannot be read is refused by name: that has nothing to do with the core's own file. */
function orRefuse<T>(pid: number, { fd, path }: Described, read: () => T): T {
  try {
    return read();
  } catch (error) {
    const errno = isNativeError(error) ? error.errno : (error as NodeJS.ErrnoException).code;
    if (errno === undefined) throw error;
    const what = `${path}, whose content cannot be read (${errno})`;
    throw unsupportedState(pid, [{ kind: "descriptor", id: `fd:${fd}`, what }]);
  }
}

function copyBytes(bytes: Buffer, place: Place): number {
  writeAll(place.fd, bytes, place.fileOffset);
  return bytes.length;
}

function isReadablePipe({ mode, flags }: FileDescription): boolean {
  return (mode & constants.S_IFMT) === constants.S_IFIFO && (flags & O_ACCMODE) !== constants.O_WRONLY;
}

/** Copies `size` bytes of the file `from`, which it closes, to `at`; holes stay holes. */
export function copyContent(from: number, to: number, place: { at: number; size: number }): number {
  const chunk = Buffer.allocUnsafe(RUN_BYTES_MAX);
  try {
    for (const span of dataSpans(from, 0, place.size)) {
      for (let done = 0; done < span.lengthBytes; ) {
        const at = span.fileOffset + done;
        const got = readSync(from, chunk, 0, Math.min(chunk.length, span.lengthBytes - done), at);
        if (got === 0) break;
        writeAll(to, chunk.subarray(0, got), place.at + at);
        done += got;
      }
    }
  } finally {
    closeSync(from);
  }
  return place.size;
}

/** CRC32C of each RUN_BYTES_MAX of the content; the file is made long enough for a hole at its end first. */
export function checksums(fd: number, start: number, lengthBytes: number): number[] {
  if (lengthBytes === 0) return [];
  const padded = Math.ceil(lengthBytes / PAGE_BYTES) * PAGE_BYTES;
  growTo(fd, start + padded);
  const count = Math.ceil(lengthBytes / RUN_BYTES_MAX);
  return crc32cRanges(
    fd,
    Array.from({ length: count }, (_, index) => ({
      fileOffset: start + index * RUN_BYTES_MAX,
      lengthBytes: Math.min(RUN_BYTES_MAX, lengthBytes - index * RUN_BYTES_MAX),
    })),
  );
}

function growTo(fd: number, size: number): void {
  if (fstatSync(fd).size < size) ftruncateSync(fd, size);
}
