/** Holes in files of cr's own (fallocate(2)), which Node cannot make. */
import { writeSync } from "node:fs";
import { errnoName, NativeError } from "./native.js";
import { tryOwnCall } from "./own-call.js";

/** FALLOC_FL_PUNCH_HOLE, FALLOC_FL_KEEP_SIZE. */
const PUNCH = 0x02 | 0x01;
const EOPNOTSUPP = 95;
const ZEROS = Buffer.alloc(1 << 20);

/** Makes bytes of a file zeros, and gives their room back to the disk where the file system can. Throws as Node does. */
export function punchHole(fd: number, offset: number, lengthBytes: number): void {
  const result = tryOwnCall("fallocate", fd, PUNCH, offset, lengthBytes);
  if (result >= 0) return;
  if (result !== -EOPNOTSUPP) throw new NativeError("cr_own_call", errnoName(-result));
  for (let done = 0; done < lengthBytes; ) {
    done += writeSync(fd, ZEROS, 0, Math.min(ZEROS.length, lengthBytes - done), offset + done);
  }
}
