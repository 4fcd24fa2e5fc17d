/**
 * Files of /proc that the kernel makes in one piece (single_open of fs/seq_file.c: stat, status, fdinfo, limits, …): one
 * read gets all of one, and a short one is the end of it. And lists for whose entries it works for long; other lists, such
 * as maps, timers and children, are of neither kind.
 */
import { closeSync, openSync, readSync } from "node:fs";

const bytes = Buffer.alloc(65_536);
/** Two entries of smaps and a half. */
const ENTRIES_BYTES = 2048;

/** The text of such a file, in half the calls of `readFileSync`, since a process stands meanwhile. Its errors. */
export function readProcFile(path: string, encoding: "latin1" | "utf8" = "latin1"): string {
  const fd = openSync(path, "r");
  try {
    const parts: Buffer[] = [];
    for (;;) {
      const got = readSync(fd, bytes, 0, bytes.length, null);
      if (got < bytes.length && parts.length === 0) return bytes.toString(encoding, 0, got);
      parts.push(Buffer.from(bytes.subarray(0, got)));
      if (got < bytes.length) return Buffer.concat(parts).toString(encoding);
    }
  } finally {
    closeSync(fd);
  }
}

/**
 * The text of a list for whose entries the kernel counts pages (smaps, numa_maps). It makes entries until its buffer of 4 KiB
 * is full, and one that does not fit is made, and counted, again (seq_read_iter() of fs/seq_file.c): so less is asked for
 * at a time, which the last entry may exceed. Errors of reading.
 */
export function readCountedList(path: string, encoding: "latin1" | "utf8"): string {
  const fd = openSync(path, "r");
  try {
    const parts: Buffer[] = [];
    for (;;) {
      const got = readSync(fd, bytes, 0, ENTRIES_BYTES, null);
      if (got === 0) return Buffer.concat(parts).toString(encoding);
      parts.push(Buffer.from(bytes.subarray(0, got)));
    }
  } finally {
    closeSync(fd);
  }
}
