/** Positional reads and writes of whole buffers: pread(2) and pwrite(2) may do less than they are asked for. */
import { readSync, writeSync } from "node:fs";

/** Writes all bytes at `offset`. Errors as of pwrite(2). */
export function writeAll(fd: number, bytes: Buffer, offset: number): void {
  for (let done = 0; done < bytes.length; ) {
    done += writeSync(fd, bytes, done, bytes.length - done, offset + done);
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
