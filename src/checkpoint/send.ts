/**
 * Sends a finished core as a stream (core/stream.ts): what stands in the file, without its holes, and its first page last.
 * The program runs on meanwhile, however slow the reader is.
 */
import { fstatSync, readSync, writeSync } from "node:fs";
import { StreamEncoder } from "../core/stream.js";
import { isErrno } from "../errors.js";
import { PAGE_BYTES, RUN_BYTES_MAX } from "../state/address.js";
import { dataPieces } from "../tracee/data-spans.js";
import { checksumsOf } from "../tracee/frames.js";
import { waitUntilReady } from "../tracee/ready.js";

/** Pieces whose checksums are made in one go. */
const PIECES_AT_ONCE = 32;

/** Writes the file behind `fd` to `out`. Errors as of write(2): EPIPE when nobody reads. */
export function sendCore(fd: number, out: number): void {
  const { size } = fstatSync(fd);
  const pieces = [...dataPieces(fd, PAGE_BYTES, size), { fileOffset: 0, lengthBytes: PAGE_BYTES }];
  const encoder = new StreamEncoder();
  const buffer = Buffer.alloc(RUN_BYTES_MAX);
  writeFully(out, encoder.preamble());
  for (let first = 0; first < pieces.length; first += PIECES_AT_ONCE) {
    const some = pieces.slice(first, first + PIECES_AT_ONCE);
    const sums = checksumsOf({ path: "-", fd, frames: null }, some);
    for (const [index, piece] of some.entries()) {
      writeFully(out, encoder.data({ ...piece, crc32c: sums[index] ?? 0 }));
      const bytes = buffer.subarray(0, piece.lengthBytes);
      readFully(fd, bytes, piece.fileOffset);
      writeFully(out, bytes);
    }
  }
  writeFully(out, encoder.end(size));
}

function readFully(fd: number, bytes: Buffer, offset: number): void {
  for (let done = 0; done < bytes.length; ) {
    const got = readSync(fd, bytes, done, bytes.length - done, offset + done);
    if (got === 0) throw new RangeError(`the file ends at ${offset + done}`);
    done += got;
  }
}

function writeFully(fd: number, bytes: Buffer): void {
  for (let done = 0; done < bytes.length; ) {
    try {
      done += writeSync(fd, bytes, done, bytes.length - done);
    } catch (error) {
      // Whoever made the pipe may have set O_NONBLOCK.
      if (!isErrno(error, "EAGAIN")) throw error;
      waitUntilReady(fd, "writable");
    }
  }
}
