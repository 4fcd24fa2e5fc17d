/**
 * Files of /proc that the kernel makes in one piece (single_open of fs/seq_file.c: stat, status, fdinfo, limits, …): one
 * read gets all of one, and a short one is the end of it. Lists, such as maps, timers and children, are none of them.
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
