/**
 * Bytes at offsets of an open file, and the two errors that every reader of a core raises. Readers check
 * their bounds against `sizeBytes` first, so that a short read means the file shrank meanwhile.
 */
import { readSync } from "node:fs";
import { CrError } from "../errors.js";

export interface ByteSource {
  /** Name for messages. */
  readonly path: string;
  readonly sizeBytes: number;
  /** Exactly `lengthBytes` bytes at `offset`; CORE_TRUNCATED where the file ends before. */
  read(offset: number, lengthBytes: number): Buffer;
}

/** The bytes of an open file descriptor; the caller keeps and closes it. */
export function fileSource(fd: number, path: string, sizeBytes: number): ByteSource {
  return {
    path,
    sizeBytes,
    read(offset, lengthBytes) {
      requireBytes({ path, sizeBytes }, { offset, lengthBytes, what: "what its headers promise" });
      const bytes = Buffer.allocUnsafe(lengthBytes);
      let done = 0;
      while (done < lengthBytes) {
        const got = readSync(fd, bytes, done, lengthBytes - done, offset + done);
        if (got === 0) throw truncated(path, `it ends at ${offset + done} bytes, it had ${sizeBytes}`);
        done += got;
      }
      return bytes;
    },
  };
}

/** Refuses (CORE_TRUNCATED) a range that reaches past the end of the file; `what` stands there. */
export function requireBytes(
  source: { readonly path: string; readonly sizeBytes: number },
  range: { readonly offset: number; readonly lengthBytes: number; readonly what: string },
): void {
  const end = range.offset + range.lengthBytes;
  if (end <= source.sizeBytes) return;
  throw truncated(
    source.path,
    `the file has ${source.sizeBytes} bytes, ${range.what} needs it to have ${end} bytes`,
  );
}

/** BAD_CORE: the file contradicts itself or is something else. `what` is the state found and required. */
export function badCore(
  path: string,
  what: string,
  hint = "cr inspect shows what a core holds; take another checkpoint or use an older one",
): CrError {
  return new CrError("BAD_CORE", `read core ${path}: ${what}`, { hint, data: { path } });
}

/** CORE_TRUNCATED: the file ends early. */
export function truncated(path: string, what: string): CrError {
  return new CrError("CORE_TRUNCATED", `read core ${path}: ${what}`, {
    hint: "compare its size with the original and copy it again, or use an older checkpoint",
    data: { path },
  });
}
