/**
 * Descriptors of cr itself, through /proc/self/fd: opening a file again by its descriptor, which goes to the very
 * same file whatever its name means by now, and telling those that a caller handed over from Node's own.
 */
import { openSync, readdirSync, readlinkSync } from "node:fs";

/**
 * Opens the file behind `fd` (mostly an O_PATH descriptor that was looked at first) with `flags` of open(2).
 * The new descriptor shows exactly these flags in F_GETFL and the file's path in /proc. Errors as of open(2).
 */
export function reopenDescriptor(fd: number, flags: number): number {
  return openSync(`/proc/self/fd/${fd}`, flags);
}

/**
 * True when the caller of cr handed this descriptor over. Node's own are anonymous inodes (epoll, eventfd) and
 * pipes of which both ends are here.
 */
export function isHandedOver(fd: number): boolean {
  const link = linkOf(fd);
  if (link === null || link.startsWith("anon_inode:")) return false;
  if (!link.startsWith("pipe:")) return true;
  return !readdirSync("/proc/self/fd").some(
    (other) => Number(other) !== fd && linkOf(Number(other)) === link,
  );
}

function linkOf(fd: number): string | null {
  try {
    return readlinkSync(`/proc/self/fd/${fd}`);
  } catch {
    return null;
  }
}

/** A name in a folder that we have open, whatever the folder is called by now. */
export function inFolder(folder: number, name: string): string {
  return `/proc/self/fd/${folder}/${name}`;
}

/** A name for the very file behind a descriptor, for calls that take names only; O_PATH will do. */
export function nameOf(fd: number): string {
  return `/proc/self/fd/${fd}`;
}
