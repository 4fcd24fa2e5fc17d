/**
 * A whole core at the price of a delta, where the file system lets files have bytes in common: the new core begins as a
 * clone of the last one, in which pages keep their places, and what was written since is overwritten there.
 */
import { closeSync, constants, ftruncateSync, openSync } from "node:fs";
import { DATA_OFFSET } from "../core/layout.js";
import { isErrno } from "../errors.js";
import { cloneFile } from "../tracee/clone-file.js";
import { punchHole } from "../tracee/punch.js";
import { type Span, spanBytes } from "../tracee/range-list.js";
import { identityOf, type Kept } from "./lineage.js";
import type { BasePiece } from "./page-base.js";

/** Room in the file that pages have left behind, besides as much as they take: then a new one is laid out. */
const GAPS_BYTES_MAX = 64 << 20;

/**
 * Makes the empty file behind `fd` a clone of the last core of the chain, with nothing in it but pages. Where they stand;
 * null where that cannot be: the file is empty then.
 */
export function cloneLast({ chain, base, owed }: Kept, fd: number): readonly BasePiece[] | null {
  const [last, ...more] = chain;
  if (last === undefined || more.length > 0 || !last.isPlain) return null;
  // What is owed is copied anew: it must not be found in the clone.
  const { pieces } = base.without(owed);
  const end = pieces.reduce(
    (max, piece) => Math.max(max, piece.fileOffset + piece.end - piece.start),
    DATA_OFFSET,
  );
  const isCompact = end <= 2 * spanBytes(pieces) + GAPS_BYTES_MAX;
  if (!isCompact) return null;
  const source = openLast(last.path);
  if (source === null) return null;
  try {
    if (identityOf(source) !== last.file || !cloneFile(fd, source)) return null;
  } finally {
    closeSync(source);
  }
  ftruncateSync(fd, end);
  for (const gap of gapsOf(pieces)) punchHole(fd, gap.start, gap.end - gap.start);
  return pieces;
}

function openLast(path: string): number | null {
  try {
    return openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  } catch (error) {
    if (isErrno(error, "ENOENT", "EACCES", "ELOOP")) return null;
    throw error;
  }
}

/** Bytes of the file in front of and between the pages: its header, and what was beside the memory. */
function gapsOf(pieces: readonly BasePiece[]): Span[] {
  const gaps: Span[] = [];
  let at = 0;
  for (const { start, end, fileOffset } of [...pieces].sort((a, b) => a.fileOffset - b.fileOffset)) {
    if (fileOffset > at) gaps.push({ start: at, end: fileOffset });
    at = fileOffset + end - start;
  }
  return gaps;
}
