/**
 * Files of /proc that the kernel makes in one piece (single_open of fs/seq_file.c: stat, status, fdinfo, limits, …): one
 * read gets all of one, and a short one is the end of it. Lists such as maps, timers and children are not of that kind;
 * of smaps the kernel makes a record at a time, for which it counts pages.
 */
import { closeSync, openSync, readSync } from "node:fs";

const bytes = Buffer.alloc(65_536);

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

/** Less than any record of smaps has, in bytes. */
const RECORD_BYTES = 512;
/** So many records are read one by one, at some 2 us each; those of many mappings have few pages to count. */
const SINGLE_READS = 4096;

/**
 * The text of a list whose records take the kernel long to make, such as smaps. A record that does not fit any more into
 * what a read is answered with is thrown away and made again for the next (seq_read_iter of fs/seq_file.c), which costs as
 * much again: so no more is asked for than the record that was begun. Errors of reading.
 */
export function readSlowList(path: string): string {
  const fd = openSync(path, "r");
  try {
    const parts: Buffer[] = [];
    for (let reads = 0; ; reads += 1) {
      const got = readSync(fd, bytes, 0, reads < SINGLE_READS ? RECORD_BYTES : bytes.length, null);
      if (got === 0) return Buffer.concat(parts).toString("utf8");
      parts.push(Buffer.from(bytes.subarray(0, got)));
    }
  } finally {
    closeSync(fd);
  }
}
