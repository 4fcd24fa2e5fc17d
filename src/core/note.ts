/**
 * ELF notes (elf(5)), written and read. Every header and body is padded to 4 bytes:
 *
 *   namesz 4 | descsz 4 | type 4 | owner, NUL, padding | desc, padding
 */
import { type ByteSource, badCore } from "./byte-source.js";
import type { Segment } from "./elf.js";

export interface Note {
  /** Who defines the type: `CORE`, `LINUX`, `RECORE`. */
  readonly owner: string;
  readonly type: number;
  readonly desc: Buffer;
}

/** A note as found in a file; `descOffset` is where its body stands there, in bytes. */
export interface PlacedNote extends Note {
  readonly descOffset: number;
}

/** Bounds for hostile input: all notes of a file together, and their number. */
const NOTE_BYTES_MAX = 1 << 30;
const NOTES_MAX = 1 << 20;
const NOTE_HEADER_BYTES = 12;

/** The bytes of one note; the parts of a body stand one behind the other, letters among them as one byte each (latin1). */
export function encodeNote({
  owner,
  type,
  desc,
}: Omit<Note, "desc"> & { readonly desc: Buffer | readonly (Buffer | string)[] }): Buffer {
  const parts = Buffer.isBuffer(desc) ? [desc] : desc;
  const descBytes = parts.reduce((sum, part) => sum + part.length, 0);
  const nameBytes = Buffer.byteLength(owner) + 1;
  let at = NOTE_HEADER_BYTES + align4(nameBytes);
  const bytes = Buffer.alloc(at + align4(descBytes));
  bytes.writeUInt32LE(nameBytes, 0);
  bytes.writeUInt32LE(descBytes, 4);
  bytes.writeUInt32LE(type, 8);
  bytes.write(owner, NOTE_HEADER_BYTES);
  for (const part of parts) {
    if (typeof part === "string") bytes.write(part, at, "latin1");
    else part.copy(bytes, at);
    at += part.length;
  }
  return bytes;
}

/** Bytes from the start of a note to its body. */
export function noteDescOffset(owner: string): number {
  return NOTE_HEADER_BYTES + align4(Buffer.byteLength(owner) + 1);
}

/** The notes of all note segments in file order; BAD_CORE where one claims more bytes than there are. */
export function readNotes(source: ByteSource, segments: readonly Segment[]): PlacedNote[] {
  const holders = segments.filter(({ kind }) => kind === "note");
  const totalBytes = holders.reduce((sum, { fileBytes }) => sum + fileBytes, 0);
  if (totalBytes > NOTE_BYTES_MAX) {
    throw badCore(source.path, `it has ${totalBytes} bytes of notes, at most ${NOTE_BYTES_MAX} are read`);
  }
  const notes: PlacedNote[] = [];
  for (const { offset, fileBytes } of holders) {
    parseNotes(source.read(offset, fileBytes), { offset, path: source.path, into: notes });
  }
  return notes;
}

function parseNotes(bytes: Buffer, place: { offset: number; path: string; into: PlacedNote[] }): void {
  const { offset, path, into } = place;
  let at = 0;
  while (bytes.length - at >= NOTE_HEADER_BYTES) {
    const nameBytes = bytes.readUInt32LE(at);
    const descBytes = bytes.readUInt32LE(at + 4);
    const descAt = at + NOTE_HEADER_BYTES + align4(nameBytes);
    if (descAt + descBytes > bytes.length) {
      throw badCore(
        path,
        `the note at offset ${offset + at} claims ${nameBytes} bytes of name and ${descBytes} of data, ${bytes.length - at} bytes are left in its segment`,
      );
    }
    if (into.length >= NOTES_MAX) throw badCore(path, `it has more than ${NOTES_MAX} notes`);
    const name = bytes.subarray(at + NOTE_HEADER_BYTES, at + NOTE_HEADER_BYTES + Math.max(0, nameBytes - 1));
    into.push({
      owner: name.toString("latin1"),
      type: bytes.readUInt32LE(at + 8),
      desc: bytes.subarray(descAt, descAt + descBytes),
      descOffset: offset + descAt,
    });
    at = descAt + align4(descBytes);
  }
  if (bytes.subarray(at).some((byte) => byte !== 0)) {
    throw badCore(path, `the note at offset ${offset + at} is cut short by the end of its segment`);
  }
}

function align4(bytes: number): number {
  return Math.ceil(bytes / 4) * 4;
}
