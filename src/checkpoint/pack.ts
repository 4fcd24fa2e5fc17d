/** Compresses a finished plain core into another file: once the program runs on, and after nothing can be refused. */
import { fstatSync } from "node:fs";
import { writePackedCore } from "../core/packed-writer.js";
import { packSlices } from "../tracee/frames.js";

/** Writes the compressed form of the plain core behind `plainFd` to the empty file `fd`. */
export function packCore(plainFd: number, fd: number, level: number): void {
  const { size } = fstatSync(plainFd);
  writePackedCore({ fd, plainFd, sizeBytes: size }, (slices, outOffset) =>
    packSlices({ fd: plainFd, outFd: fd, outOffset }, slices, level),
  );
}
