/** Files that have their bytes in common until one of them is written to (ioctl_ficlone(2)): btrfs, XFS, bcachefs. */
import { tryOwnCall } from "./own-call.js";

const FICLONE = 0x4004_9409;

/** Gives the file behind `fd` all bytes of another one; false where the file system cannot, or they are not on the same. */
export function cloneFile(fd: number, source: number): boolean {
  return tryOwnCall("ioctl", fd, FICLONE, source) === 0;
}
