/** Names of files by calls that Node does not have: with a condition, or of a file that has none. */
import { type OwnArgument, ownCall } from "./own-call.js";

const AT_FDCWD = -100;
const AT_SYMLINK_FOLLOW = 0x400;
/** RENAME_NOREPLACE, nothing, RENAME_EXCHANGE (renameat2(2)). */
const HOW = { new: 1, replace: 0, exchange: 2 };

/**
 * Gives a file or folder another name, at once: a `new` one, that of another, which it replaces, or in `exchange` for its own.
 * Throws `NativeError`: EEXIST, ENOENT, EINVAL where the file system cannot, …
 */
export function renameAs(from: string, to: string, how: keyof typeof HOW): void {
  ownCall("renameat2", AT_FDCWD, text(from), AT_FDCWD, text(to), HOW[how]);
}

/** Gives a file without a name (O_TMPFILE of open(2)) its first one. Throws `NativeError`, EEXIST where there is such a name. */
export function nameFile(fd: number, path: string): void {
  ownCall("linkat", AT_FDCWD, text(`/proc/self/fd/${fd}`), AT_FDCWD, text(path), AT_SYMLINK_FOLLOW);
}

function text(path: string): OwnArgument {
  return Buffer.from(`${path}\0`);
}
