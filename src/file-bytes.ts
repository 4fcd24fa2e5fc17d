/** Positional reads and writes of whole buffers: pread(2) and pwrite(2) may do less than they are asked for. */
import { readSync, writeSync, writevSync } from "node:fs";

/** Writes all bytes at `offset`. Errors as of pwrite(2). */
export function writeAll(fd: number, bytes: Buffer, offset: number): void {
  for (let done = 0; done < bytes.length; ) {
    done += writeSync(fd, bytes, done, bytes.length - done, offset + done);
  }
}

/** The same of parts that stand one behind the other in the file, in one call where the kernel takes all at once. */
export function writeAllOf(fd: number, parts: readonly Buffer[], offset: number): void {
  let done = writevSync(fd, parts, offset);
  let at = offset;
  for (const part of parts) {
    const written = Math.min(done, part.length);
    if (written < part.length) writeAll(fd, part.subarray(written), at + written);
    done -= written;
    at += part.length;
  }
}

/** Reads `lengthBytes` at `offset`; zeros stand for what is behind the end of the file. */
export function readPadded(fd: number, lengthBytes: number, offset: number): Buffer {
  const bytes = Buffer.alloc(lengthBytes);
  for (let done = 0; done < lengthBytes; ) {
    const read = readSync(fd, bytes, done, lengthBytes - done, offset + done);
    if (read === 0) break;
    done += read;
  }
  return bytes;
}
