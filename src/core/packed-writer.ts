/**
 * Writes the compressed form of a core of ours: the same headers and notes, so that everybody reads them, and the data
 * in frames. Free of schemas, because checkpoints load it; reading is packed.ts.
 *
 *   0 ELF header | 4096 frames, dense | tailAt: notes and program headers of the plain core | FRAMES | program headers
 */
import { ftruncateSync } from "node:fs";
import { readPadded, writeAll } from "../file-bytes.js";
import { RUN_BYTES_MAX as FRAME_BYTES_MAX, PAGE_BYTES } from "../state/address.js";
import type { Frame, FramesNote } from "../state/frame.js";
import { encodeNoteJson } from "../state/note-json.js";
import { crc32c } from "./crc32c.js";
import {
  ELF_HEADER_BYTES,
  encodeCoreHeader,
  encodeProgramHeaders,
  PN_XNUM,
  PROGRAM_HEADER_BYTES,
  type Segment,
} from "./elf.js";
import { DATA_OFFSET } from "./layout.js";
import { encodeNote } from "./note.js";
import { FORMAT, FRAMES_NOTE, NO_CHECKSUM, RECORE_OWNER } from "./recore-notes.js";
import { checksumDigits } from "./writer.js";

/** Compresses slices of the plain file into the other one, from an offset on. */
export type Pack = (
  slices: readonly { readonly plainOffset: number; readonly plainBytes: number }[],
  outOffset: number,
) => { readonly frames: readonly Frame[]; readonly end: number };

/**
 * Writes the compressed form of the whole plain core of `sizeBytes` behind `plainFd` to `fd`, its header last. Failures of
 * the system are thrown as Node or the native library reports them.
 */
export function writePackedCore(
  { fd, plainFd, sizeBytes }: { readonly fd: number; readonly plainFd: number; readonly sizeBytes: number },
  pack: Pack,
): void {
  const header = readPadded(plainFd, ELF_HEADER_BYTES, 0);
  const segments = readPlainSegments(plainFd, header);
  const tailOffset = segments[0]?.offset ?? 0;
  const { frames, end } = pack(slicesOf(tailOffset), DATA_OFFSET);
  const tailAt = Math.ceil(end / PAGE_BYTES) * PAGE_BYTES;
  const tail = readPadded(plainFd, sizeBytes - tailOffset, tailOffset);
  const body: FramesBody = {
    crc32c: NO_CHECKSUM,
    header,
    sizeBytes,
    tailOffset,
    tailAt,
    frames: frames.map(rowOf),
  };
  const rest = encodeRest(segments, { tail, tailAt, shift: tailAt - tailOffset, body });
  const padding = Buffer.alloc(tailAt - end);
  const digits = checksumDigits(
    [padding, ...rest.parts].reduce((crc, part) => crc32c(part, crc), crc32c(rest.first)),
  );
  rest.parts[1]?.write(digits, rest.digitsAt, "latin1");
  writeAll(fd, Buffer.concat([padding, ...rest.parts]), end);
  ftruncateSync(fd, tailAt + rest.parts.reduce((sum, part) => sum + part.length, 0));
  writeAll(fd, rest.first, 0);
}

type FramesBody = Omit<FramesNote, "header" | "frames"> & {
  readonly header: Buffer;
  readonly frames: readonly (readonly number[])[];
};

interface Rest {
  readonly tail: Buffer;
  readonly tailAt: number;
  /** How much farther behind the tail stands here. */
  readonly shift: number;
  readonly body: FramesBody;
}

/** What stands behind the frames, and the first page; `digitsAt` is in the second part. */
function encodeRest(plain: readonly Segment[], { tail, tailAt, shift, body }: Rest) {
  const desc = encodeNoteJson({ format: FORMAT, required: true, body });
  const note = encodeNote({ owner: RECORE_OWNER, type: FRAMES_NOTE, desc });
  const aligned = Buffer.alloc(align8(note.length), 0);
  note.copy(aligned);
  const filled = Buffer.alloc(align8(tail.length));
  tail.copy(filled);
  const noteAt = tailAt + filled.length;
  const frames: Segment = { ...NOTE, offset: noteAt, fileBytes: note.length };
  const segments = plain.flatMap((segment) =>
    segment.kind === "note"
      ? [{ ...segment, offset: segment.offset + shift }, frames]
      : [{ ...segment, offset: 0, fileBytes: 0 }],
  );
  const first = Buffer.alloc(PAGE_BYTES);
  encodeCoreHeader(noteAt + aligned.length, segments.length).copy(first);
  const digitsAt = note.indexOf(`"crc32c":"${NO_CHECKSUM}"`, 0, "latin1") + '"crc32c":"'.length;
  return { first, parts: [filled, aligned, encodeProgramHeaders(segments)], digitsAt };
}

const NOTE: Segment = { kind: "note", prot: "r--", offset: 0, address: 0n, fileBytes: 0, memoryBytes: 0 };

function slicesOf(tailOffset: number) {
  const count = Math.ceil((tailOffset - DATA_OFFSET) / FRAME_BYTES_MAX);
  return Array.from({ length: count }, (_, index) => {
    const plainOffset = DATA_OFFSET + index * FRAME_BYTES_MAX;
    return { plainOffset, plainBytes: Math.min(FRAME_BYTES_MAX, tailOffset - plainOffset) };
  });
}

function rowOf({ plainOffset, plainBytes, fileOffset, lengthBytes, crc32c: sum }: Frame): number[] {
  return [plainOffset, plainBytes, fileOffset, lengthBytes, sum];
}

/** The program headers that writer.ts has written: the notes first, then the mappings. */
function readPlainSegments(fd: number, header: Buffer): Segment[] {
  const at = Number(header.readBigUInt64LE(32));
  const short = header.readUInt16LE(56);
  const sectionAt = Number(header.readBigUInt64LE(40));
  const count = short === PN_XNUM ? readPadded(fd, 4, sectionAt + 44).readUInt32LE(0) : short;
  const table = readPadded(fd, count * PROGRAM_HEADER_BYTES, at);
  return Array.from({ length: count }, (_, index): Segment => {
    const entry = table.subarray(index * PROGRAM_HEADER_BYTES, (index + 1) * PROGRAM_HEADER_BYTES);
    const flags = entry.readUInt32LE(4);
    return {
      kind: index === 0 ? "note" : "load",
      prot: `${flags & 4 ? "r" : "-"}${flags & 2 ? "w" : "-"}${flags & 1 ? "x" : "-"}`,
      offset: Number(entry.readBigUInt64LE(8)),
      address: entry.readBigUInt64LE(16),
      fileBytes: Number(entry.readBigUInt64LE(32)),
      memoryBytes: Number(entry.readBigUInt64LE(40)),
    };
  });
}

function align8(bytes: number): number {
  return Math.ceil(bytes / 8) * 8;
}
