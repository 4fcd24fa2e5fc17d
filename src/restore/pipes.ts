/** Pipes and FIFOs with both ends in the program: made again with what waited in them. */
import {
  type BigIntStats,
  chmodSync,
  chownSync,
  closeSync,
  lstatSync,
  renameSync,
  rmSync,
  unlinkSync,
  writeSync,
} from "node:fs";
import { CrError } from "../errors.js";
import { readPadded } from "../file-bytes.js";
import { holdersOf } from "../host/descriptor-holders.js";
import { nameOf, reopenDescriptor } from "../host/own-descriptors.js";
import type { FileDescription } from "../state/fd.js";
import { errnoName } from "../tracee/native.js";
import { ownCall, tryOwnCall } from "../tracee/own-call.js";
import { makePipe } from "../tracee/pipe.js";
import { coreOf } from "./content.js";
import { lookAt, openFailed } from "./file-look.js";

const O_ACCMODE = 0o3;
const O_RDONLY = 0;
const O_WRONLY = 1;
const O_RDWR = 2;
const O_NONBLOCK = 0o4000;
const O_LARGEFILE = 0o100000;
/** O_APPEND, O_NONBLOCK, O_DIRECT, O_NOATIME: what F_SETFL of fcntl(2) can set besides O_ASYNC. */
const SETTABLE = 0o2000 | O_NONBLOCK | 0o40000 | 0o1000000;
const F_SETFL = 4;
const S_IFIFO = 0o010000;
const OWNER_ONLY = 0o600;
const MODE_BITS = 0o7777;
const EEXIST = 17;
const DELETED = " (deleted)";
/** Behind the name of one that is being made. */
const UNFINISHED = ".cr-made";
/** Names tried for one that had none. */
const NAMES_MAX = 100;
const F_SETPIPE_SZ = 1031;

type Add = (description: FileDescription, fd: number, position: null) => void;

/** FIFOs that were gone and were made again: they stay when the program starts, else they go. */
export interface MadeFifos {
  keep(): void;
  putBack(): void;
}

/** Descriptions of one pipe are opened from one pipe. FILE_CHANGED when a FIFO is in use. */
export function openPipes(wanted: readonly FileDescription[], coreFd: number, add: Add): MadeFifos {
  const made: string[] = [];
  const putBack = () => {
    for (const path of made.splice(0)) unlinkSync(path);
  };
  try {
    openAll(wanted, coreFd, { add, made });
  } catch (error) {
    putBack();
    throw error;
  }
  return { keep: () => void made.splice(0), putBack };
}

function openAll(
  wanted: readonly FileDescription[],
  coreFd: number,
  { add, made }: { readonly add: Add; readonly made: string[] },
): void {
  for (const ino of new Set(wanted.map((one) => one.ino))) {
    const descriptions = wanted.filter((one) => one.ino === ino);
    const [first] = descriptions;
    if (first === undefined) continue;
    const content = descriptions.find((one) => one.content !== null)?.content ?? null;
    const bytes = content
      ? readPadded(coreOf(content, coreFd), content.lengthBytes, content.fileOffset)
      : Buffer.alloc(0);
    const spare = first.path.startsWith("pipe:") ? newPipe(bytes) : openFifo(first, bytes, made);
    try {
      const [end] = spare;
      if (end !== undefined && first.object?.kind === "pipe") {
        ownCall("fcntl", end.fd, F_SETPIPE_SZ, first.object.capacityBytes);
      }
      for (const one of descriptions) add(one, openEnd(one, spare), null);
    } finally {
      for (const { fd } of spare) closeSync(fd);
    }
  }
}

/** No description is open like the end from which others are opened; it stays with cr. */
const OWN = -1;

/** An end that stands ready, and the flags of open(2) with which it is. */
interface End {
  readonly fd: number;
  readonly flags: number;
}

function newPipe(bytes: Buffer): End[] {
  const { readFd, writeFd } = makePipe(bytes);
  const holder = reopenDescriptor(readFd, O_RDWR | O_NONBLOCK);
  return [
    { fd: holder, flags: OWN },
    { fd: readFd, flags: O_RDONLY },
    { fd: writeFd, flags: O_WRONLY },
  ];
}

/** Takes an end that stands ready where it is one as pipe(2) makes it, else opens the pipe once more. */
function openEnd({ flags }: FileDescription, spare: End[]): number {
  const [any] = spare;
  const index = spare.findIndex((end) => end.flags === (flags & (O_ACCMODE | O_LARGEFILE)));
  if (any === undefined) throw new RangeError("a pipe without an end to open it from");
  const [taken] = index >= 0 ? spare.splice(index, 1) : [];
  const fd = taken?.fd ?? reopenDescriptor(any.fd, (flags & O_ACCMODE) | O_NONBLOCK);
  ownCall("fcntl", fd, F_SETFL, flags & SETTABLE);
  return fd;
}

/** A FIFO is opened by its name, and holds nothing when nobody has it open. */
function openFifo(fifo: FileDescription, bytes: Buffer, made: string[]): End[] {
  const isThere = lstatSync(fifo.path, { throwIfNoEntry: false }) !== undefined;
  const path = isThere ? fifo.path : makeFifo(fifo);
  if (!isThere && path === fifo.path) made.push(path);
  const look = lookAt(path);
  try {
    if (path !== fifo.path) unlinkSync(path);
    if (!look.stat.isFIFO() || (isThere && !isLike(fifo, look.stat))) throw inUse(path, "it was replaced");
    const holder = holdersOf(new Set([path]), [process.pid]).get(path);
    if (holder) throw inUse(path, `process ${holder.pid} (${holder.comm}) has it open`);
    const fd = reopenDescriptor(look.fd, O_RDWR | O_NONBLOCK);
    const end = { fd, flags: OWN };
    try {
      const waiting = Buffer.alloc(4);
      ownCall("ioctl", fd, FIONREAD, waiting);
      if (waiting.readInt32LE() > 0) throw inUse(path, "somebody else's bytes wait in it");
      if (bytes.length > 0 && writeSync(fd, bytes) < bytes.length)
        throw inUse(path, "its content does not fit");
    } catch (error) {
      closeSync(fd);
      throw error;
    }
    return [end];
  } finally {
    closeSync(look.fd);
  }
}

/** The recorded one, or one made again in its place: what waits in a FIFO is not in the file, and its inode is nobody's. */
function isLike(fifo: FileDescription, stat: BigIntStats): boolean {
  const same =
    stat.mode === BigInt(fifo.mode) && stat.uid === BigInt(fifo.uid) && stat.gid === BigInt(fifo.gid);
  return stat.ino === fifo.ino || same;
}

/** Makes one that is gone; under its old name for an instant when it had none any more. Where it is now. */
function makeFifo({ path, mode, uid, gid }: FileDescription): string {
  const wanted = path.endsWith(DELETED) ? path.slice(0, -DELETED.length) : path;
  for (let attempt = 0; attempt < NAMES_MAX; attempt += 1) {
    const name = attempt === 0 ? wanted : `${wanted}.${process.pid}.${attempt}`;
    // Its own name it gets when it is as recorded: a cr that is killed leaves none that is not.
    const first = wanted === path ? name + UNFINISHED : name;
    if (first !== name) rmSync(first, { force: true });
    const result = tryOwnCall("mknod", Buffer.from(`${first}\0`), S_IFIFO | OWNER_ONLY, 0);
    if (result === -EEXIST && wanted !== path) continue;
    if (result < 0) throw openFailed(path, Object.assign(new Error(), { code: errnoName(-result) }));
    setAttributes(first, { mode, uid, gid });
    if (first !== name) renameSync(first, name);
    return name;
  }
  throw inUse(path, "all names for it are taken");
}

/** Of the very FIFO, whatever somebody puts in its place meanwhile. */
function setAttributes(
  path: string,
  { mode, uid, gid }: Pick<FileDescription, "mode" | "uid" | "gid">,
): void {
  const { fd, stat } = lookAt(path);
  try {
    if (!stat.isFIFO()) throw inUse(path, "it was replaced");
    if (stat.uid !== BigInt(uid) || stat.gid !== BigInt(gid)) chownSync(nameOf(fd), uid, gid);
    chmodSync(nameOf(fd), mode & MODE_BITS);
  } finally {
    closeSync(fd);
  }
}

const FIONREAD = 0x541b;

function inUse(path: string, why: string): CrError {
  return new CrError("FILE_CHANGED", `restore the FIFO ${path}: ${why}; both its ends were in the program`, {
    hint: "end what uses it, and try again",
    data: { path },
  });
}
