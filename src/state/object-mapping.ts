/**
 * Mappings of what no name leads to: memfds, deleted files, System V segments. Free of schemas, because checkpoints
 * load it.
 */
import type { Vma } from "./vma.js";

const SEGMENT = /^\/SYSV[0-9a-f]{8}$/;

/** A file or segment that only its mappings and descriptors lead to. */
export function isNameless({ kind, deleted }: Vma): boolean {
  return deleted && (kind === "file" || kind === "shared-file");
}

/** A System V segment: its id is the inode (ipc/shm.c, newseg). */
export function isSegment(vma: Vma): boolean {
  return isNameless(vma) && vma.kind === "shared-file" && SEGMENT.test(vma.path);
}

/** What two mappings of one object have in common: ids of segments are no inodes. */
export function objectKey(vma: Vma): string {
  return `${isSegment(vma) ? "segment" : "file"} ${vma.dev} ${vma.ino}`;
}
