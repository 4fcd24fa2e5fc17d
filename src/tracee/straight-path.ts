/**
 * Opening files by names that the kernel once gave: such a name has no symbolic link in it. With root's rights a link
 * that somebody has put on the way since would lead cr to read, write or make a file that the program never could.
 */
import { constants, openSync } from "node:fs";
import { errnoName } from "./native.js";
import { tryOwnCall } from "./own-call.js";

const AT_FDCWD = -100;
const O_CLOEXEC = 0o2000000;
/** RESOLVE_NO_SYMLINKS of openat2(2), magic links of /proc included. */
const RESOLVE_NO_SYMLINKS = 4n;
const HOW_BYTES = 24;

/**
 * open(2) of an absolute path, for root without following any link; others may follow those on the way, since they get
 * no further than their own rights. Throws errno errors as Node does: ELOOP where there is a link.
 */
export function openStraight(path: string, flags: number, mode = 0): number {
  // With O_NOFOLLOW and O_PATH, a link itself would be opened: that tells what a file is now, but is no folder.
  const straight = flags & constants.O_DIRECTORY ? flags : flags | constants.O_NOFOLLOW;
  if (process.geteuid?.() !== 0) return openSync(path, straight, mode);
  const how = Buffer.alloc(HOW_BYTES);
  how.writeBigUInt64LE(BigInt(straight | O_CLOEXEC), 0);
  how.writeBigUInt64LE(BigInt(flags & constants.O_CREAT ? mode : 0), 8);
  how.writeBigUInt64LE(RESOLVE_NO_SYMLINKS, 16);
  const fd = tryOwnCall("openat2", AT_FDCWD, Buffer.from(`${path}\0`), how, HOW_BYTES);
  if (fd >= 0) return fd;
  const code = errnoName(-fd);
  throw Object.assign(new Error(`${code}: open '${path}'`), { code, path });
}
