/** What is in a tmpfs of another mount namespace (tmpfs(5)): read whole, and put into a new one by its way in /proc. */
import {
  chmodSync,
  closeSync,
  lchownSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  statfsSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { CrError } from "../errors.js";
import type { Entry } from "../state/space.js";
import { pathInside } from "./maps.js";
import { ownCall } from "./own-call.js";

const AT_FDCWD = -100;
const AT_SYMLINK_NOFOLLOW = 0x100;
const SECOND = 1_000_000_000n;
const MODE = 0o7777;
/** linux/magic.h */
const TMPFS_MAGIC = 0x0102_1994;
const S_IFIFO = 0o010000;
const S_IFSOCK = 0o140000;

/** What is carried of one tmpfs at most. */
export const TMPFS_BYTES_MAX = 4 << 20;
const ENTRIES_MAX = 10_000;

/** Why the tmpfs at a place cannot be carried; what it holds otherwise. Names are Latin-1, a character each byte. */
export function readTmpfs(pid: number, at: string): Entry[] | string {
  const top = Buffer.from(pathInside(pid, at), "latin1");
  const { dev } = lstatSync(top, { bigint: true });
  const entries: Entry[] = [];
  let left = TMPFS_BYTES_MAX;
  const queue = [""];
  for (let path = queue.shift(); path !== undefined; path = queue.shift()) {
    const name = Buffer.from(pathInside(pid, at) + path, "latin1");
    const stat = lstatSync(name, { bigint: true });
    // What is mounted on it stands for the place.
    const isPlace = stat.dev !== dev;
    const type = isPlace ? (stat.isDirectory() ? "folder" : "file") : typeOf(stat);
    if (type === null) return `the device ${at}${path}`;
    if (!isPlace && type === "file" && stat.nlink > 1n) return `the hard link ${at}${path}`;
    if (!isPlace && type === "file") left -= Number(stat.size);
    if (left < 0 || entries.length >= ENTRIES_MAX) {
      return `the tmpfs on ${at}, with more than ${TMPFS_BYTES_MAX >> 20} MiB or ${ENTRIES_MAX} files`;
    }
    const content = isPlace ? undefined : contentOf(name, type);
    entries.push({
      path,
      type,
      mode: Number(stat.mode) & MODE,
      ...{ uid: Number(stat.uid), gid: Number(stat.gid), mtimeNs: stat.mtimeNs },
      ...(content && { content }),
    });
    if (!isPlace && type === "folder") {
      queue.push(...readdirSync(name, "latin1").map((child) => `${path}/${child}`));
    }
  }
  return entries;
}

function typeOf(stat: ReturnType<typeof lstatSync> & object): Entry["type"] | null {
  if (stat.isDirectory()) return "folder";
  if (stat.isFile()) return "file";
  if (stat.isSymbolicLink()) return "link";
  if (stat.isFIFO()) return "fifo";
  return stat.isSocket() ? "socket" : null;
}

function contentOf(name: Buffer, type: Entry["type"]): Buffer | undefined {
  if (type === "file") return readFileSync(name);
  return type === "link" ? readlinkSync(name, "buffer") : undefined;
}

/**
 * Puts it all into an empty tmpfs, which a process sees at this place; its folders get their times last. BAD_CORE for what
 * would not stay in there, RESTORE_FAILED where there is none.
 */
export function fillTmpfs(pid: number, at: string, entries: readonly Entry[]): void {
  const name = (path: string) => Buffer.from(pathInside(pid, at) + path, "latin1");
  const folders = new Set(["", ...entries.flatMap(({ path, type }) => (type === "folder" ? [path] : []))]);
  const stray = entries.find(({ path }) => path !== "" && !folders.has(path.slice(0, path.lastIndexOf("/"))));
  if (stray) throw new CrError("BAD_CORE", `make the tmpfs on ${at}: ${stray.path} is in no folder of it`);
  if (statfsSync(name("")).type !== TMPFS_MAGIC || readdirSync(name("")).length > 0) {
    throw new CrError("RESTORE_FAILED", `cannot make the tmpfs on ${at}: another place is found there`, {
      hint: "look whether a symbolic link has taken the place of a folder since",
    });
  }
  for (const entry of entries) {
    if (entry.path !== "") makeEntry(name(entry.path), entry);
    lchownSync(name(entry.path), entry.uid, entry.gid);
    if (entry.type !== "link") chmodSync(name(entry.path), entry.mode);
  }
  for (const { path, mtimeNs } of entries.toReversed()) {
    const times = Buffer.alloc(32);
    for (const offset of [0, 16]) {
      times.writeBigInt64LE(mtimeNs / SECOND, offset);
      times.writeBigInt64LE(mtimeNs % SECOND, offset + 8);
    }
    ownCall("utimensat", AT_FDCWD, terminated(name(path)), times, AT_SYMLINK_NOFOLLOW);
  }
}

function makeEntry(name: Buffer, { type, content = Buffer.alloc(0) }: Entry): void {
  if (type === "folder") mkdirSync(name);
  else if (type === "link") symlinkSync(content, name);
  else if (type === "file") {
    closeSync(openSync(name, "wx"));
    writeFileSync(name, content);
  } else {
    ownCall("mknod", terminated(name), (type === "fifo" ? S_IFIFO : S_IFSOCK) | 0o600, 0);
  }
}

function terminated(name: Buffer): Buffer {
  return Buffer.concat([name, Buffer.alloc(1)]);
}
