/** Compresses a finished plain core into another file: once the program runs on, and after nothing can be refused. */
import { fstatSync } from "node:fs";
import { writePackedCore } from "../core/packed-writer.js";
import type { Frame } from "../state/frame.js";
import { packSlices } from "../tracee/frames.js";
import type { CopyManner } from "../tracee/memory.js";

type Slices = Parameters<typeof packSlices>[1];

/** Writes the compressed form of the plain core behind `plainFd` to the empty file `fd`. */
export function packCore(
  plainFd: number,
  fd: number,
  { level, manner }: { readonly level: number; readonly manner: CopyManner },
): void {
  const { size } = fstatSync(plainFd);
  writePackedCore({ fd, plainFd, sizeBytes: size }, (slices, outOffset) => {
    const frames: Frame[] = [];
    let end = outOffset;
    for (const part of partsOf(slices, manner.partBytes)) {
      manner.before?.(plainBytesOf(part), 0);
      const packed = packSlices({ fd: plainFd, outFd: fd, outOffset: end }, part, {
        level,
        threads: manner.threads,
      });
      for (const frame of packed.frames) frames.push(frame);
      end = packed.end;
    }
    return { frames, end };
  });
}

function* partsOf(slices: Slices, bytesMax = Number.POSITIVE_INFINITY): Generator<Slices> {
  for (let from = 0, to = 0; to < slices.length; from = to) {
    for (let bytes = 0; to < slices.length && bytes < bytesMax; to += 1) bytes += slices[to]?.plainBytes ?? 0;
    yield slices.slice(from, to);
  }
}

function plainBytesOf(slices: Slices): number {
  return slices.reduce((sum, { plainBytes }) => sum + plainBytes, 0);
}
