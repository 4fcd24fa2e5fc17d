/**
 * Data of a compressed core as a plain file without a name: only the frames that somebody asks for are put into it,
 * several at once, and what is in none is a hole.
 */
import { closeSync, ftruncateSync } from "node:fs";
import type { Frame, PageSource } from "../state/frame.js";
import { expandInto } from "./frames.js";
import { openUnnamed, spoolFailed } from "./unnamed-file.js";

interface Range {
  readonly fileOffset: number;
  readonly lengthBytes: number;
}

/**
 * The `Unpack` of core/packed.ts. Nothing is read until it is needed: CORE_CORRUPT, CORE_TRUNCATED, OUTPUT_FAILED, and
 * NATIVE_MISSING without libzstd.
 */
export function unpack(
  source: PageSource,
  endOffset: number,
): { readonly fd: number; need(ranges: readonly Range[]): void; close(): void } {
  const fd = openUnnamed();
  ftruncateSync(fd, endOffset);
  const frames = source.frames ?? [];
  const there = new Set<Frame>();
  return {
    fd,
    need(ranges) {
      const missing = framesOf(frames, ranges).filter((frame) => !there.has(frame));
      if (missing.length === 0) return;
      try {
        const slices = missing.map((frame) => ({
          fileOffset: frame.plainOffset,
          lengthBytes: frame.plainBytes,
        }));
        expandInto(fd, source, slices);
      } catch (error) {
        throw spoolFailed(`unpack core ${source.path}`, error);
      }
      for (const frame of missing) there.add(frame);
    },
    close: () => closeSync(fd),
  };
}

/** Those that hold some of the ranges; both are in order, the ranges mostly. */
function framesOf(frames: readonly Frame[], ranges: readonly Range[]): Frame[] {
  const sorted = [...ranges].sort((a, b) => a.fileOffset - b.fileOffset);
  const wanted: Frame[] = [];
  let next = 0;
  for (const frame of frames) {
    const end = frame.plainOffset + frame.plainBytes;
    while (next < sorted.length && endOf(sorted[next]) <= frame.plainOffset) next += 1;
    const range = sorted[next];
    if (range !== undefined && range.fileOffset < end) wanted.push(frame);
  }
  return wanted;
}

function endOf(range: Range | undefined): number {
  return range === undefined ? 0 : range.fileOffset + range.lengthBytes;
}
