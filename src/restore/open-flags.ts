/** The flags with which a recorded file is opened again, so that F_GETFL shows what the program had. */
import { constants } from "node:fs";
import type { FileDescription } from "../state/fd.js";

/** O_PATH, O_TMPFILE and O_ASYNC of open(2) on x86-64, which Node does not name. */
const O_PATH = 0o10000000;
const O_TMPFILE = 0o20000000 | constants.O_DIRECTORY;
const O_ASYNC = 0o20000;
/** Creation flags act at open only; the kernel does not keep them, and they must never act here. */
const CREATION_FLAGS = constants.O_CREAT | constants.O_EXCL | constants.O_TRUNC;

/** Flags for open(2): the recorded ones without any that create, truncate or signal. */
export function openFlags({ kind, flags }: FileDescription): number {
  const unnamed = kind === "regular" && (flags & 0o20000000) !== 0 ? O_TMPFILE : 0;
  return (flags & ~(CREATION_FLAGS | O_ASYNC | unnamed)) | constants.O_NOCTTY;
}

/** True for a descriptor that only names a file: it has no offset and cannot be read. */
export function isPathOnly({ flags }: FileDescription): boolean {
  return (flags & O_PATH) !== 0;
}
