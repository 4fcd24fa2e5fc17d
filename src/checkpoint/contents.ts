/** Bytes of files that exist only through an open descriptor (deleted): they go into the core behind the memory. */
import { closeSync, fstatSync, ftruncateSync, readSync, writeSync } from "node:fs";
import { PAGE_BYTES, RUN_BYTES_MAX } from "../state/address.js";
import type { FileDescription, FileState } from "../state/fd.js";
import { dataSpans } from "../tracee/data-spans.js";
import { openTargetFile } from "../tracee/descriptors.js";
import { crc32cRanges } from "../tracee/native.js";

/**
 * Copies the content of deleted regular files of a stopped process to `fileOffset` on, each at a page boundary,
 * holes kept. Returns the descriptions with `content` and the offset behind the last one.
 */
export function copyDeletedFiles(
  pid: number,
  files: FileState,
  core: { readonly fd: number; readonly fileOffset: number },
): { readonly files: FileState; readonly end: number } {
  let end = core.fileOffset;
  const descriptions = files.descriptions.map((description) => {
    if (!description.deleted || description.kind !== "regular") return description;
    const fd = files.descriptors.find((one) => one.description === description.id)?.fd ?? 0;
    const lengthBytes = copyContent(openTargetFile(pid, fd), core.fd, {
      at: end,
      size: description.sizeBytes,
    });
    const content = { fileOffset: end, lengthBytes, crc32c: checksums(core.fd, end, lengthBytes) };
    end += Math.ceil(lengthBytes / PAGE_BYTES) * PAGE_BYTES;
    return { ...description, content } satisfies FileDescription;
  });
  return { files: { ...files, descriptions }, end };
}

function copyContent(from: number, to: number, place: { at: number; size: number }): number {
  const chunk = Buffer.allocUnsafe(RUN_BYTES_MAX);
  try {
    for (const span of dataSpans(from, 0, place.size)) {
      for (let done = 0; done < span.lengthBytes; ) {
        const at = span.fileOffset + done;
        const got = readSync(from, chunk, 0, Math.min(chunk.length, span.lengthBytes - done), at);
        if (got === 0) break;
        writeAll(to, chunk.subarray(0, got), place.at + at);
        done += got;
      }
    }
  } finally {
    closeSync(from);
  }
  return place.size;
}

function writeAll(fd: number, bytes: Buffer, at: number): void {
  for (let done = 0; done < bytes.length; )
    done += writeSync(fd, bytes, done, bytes.length - done, at + done);
}

/** CRC32C of each RUN_BYTES_MAX of the content; the file is made long enough for a hole at its end first. */
function checksums(fd: number, start: number, lengthBytes: number): number[] {
  if (lengthBytes === 0) return [];
  const padded = Math.ceil(lengthBytes / PAGE_BYTES) * PAGE_BYTES;
  growTo(fd, start + padded);
  const count = Math.ceil(lengthBytes / RUN_BYTES_MAX);
  return crc32cRanges(
    fd,
    Array.from({ length: count }, (_, index) => ({
      fileOffset: start + index * RUN_BYTES_MAX,
      lengthBytes: Math.min(RUN_BYTES_MAX, lengthBytes - index * RUN_BYTES_MAX),
    })),
  );
}

function growTo(fd: number, size: number): void {
  if (fstatSync(fd).size < size) ftruncateSync(fd, size);
}
