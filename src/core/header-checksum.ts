/**
 * The checksum over all of our core that is not page data: its first page, and everything from the notes to the
 * end of the file. The eight digits of the checksum itself count as zeros.
 */
import { CrError } from "../errors.js";
import { PAGE_BYTES } from "../state/address.js";
import { type ByteSource, badCore } from "./byte-source.js";
import { crc32c } from "./crc32c.js";
import type { Segment } from "./elf.js";
import type { PlacedNote } from "./note.js";
import { decodeChecksumNote } from "./recore-decode.js";
import { NO_CHECKSUM, RECORE_NOTES, RECORE_OWNER } from "./recore-notes.js";
import { checksumDigits } from "./writer.js";

const CHUNK_BYTES = 1 << 20;

/** Where the notes of a core of ours start, behind all data; BAD_CORE when it cannot be one. */
export function tailOffsetOf(path: string, segments: readonly Segment[]): number {
  const [notes, ...more] = segments.filter(({ kind }) => kind === "note");
  if (notes === undefined || more.length > 0) {
    throw badCore(path, `it has ${more.length + (notes ? 1 : 0)} note segments, exactly one is required`);
  }
  if (notes.offset < PAGE_BYTES || notes.offset % PAGE_BYTES !== 0) {
    throw badCore(
      path,
      `its notes start at ${notes.offset}, a page boundary behind the first page is required`,
    );
  }
  return notes.offset;
}

/** Compares the checksum in the notes with the bytes: CORE_CORRUPT when they differ. */
export function checkHeaderChecksum(
  source: ByteSource,
  { segments, notes }: { readonly segments: readonly Segment[]; readonly notes: readonly PlacedNote[] },
): void {
  const { path } = source;
  const note = notes.find(({ owner, type }) => owner === RECORE_OWNER && type === RECORE_NOTES.CHECKSUM);
  if (note === undefined) throw badCore(path, "the note RECORE/CHECKSUM is missing");
  const digits = decodeChecksumNote(note, path);
  const digitsAt = note.descOffset + note.desc.lastIndexOf(digits, undefined, "latin1");
  const tailOffset = tailOffsetOf(path, segments);
  let crc = crc32c(source.read(0, PAGE_BYTES));
  for (let at = tailOffset; at < source.sizeBytes; at += CHUNK_BYTES) {
    const bytes = source.read(at, Math.min(CHUNK_BYTES, source.sizeBytes - at));
    blank(bytes, digitsAt - at);
    crc = crc32c(bytes, crc);
  }
  if (checksumDigits(crc) === digits) return;
  throw new CrError(
    "CORE_CORRUPT",
    `read core ${path}: the checksum of its headers and notes is ${checksumDigits(crc)}, ${digits} is required`,
    {
      hint: "use an older checkpoint; this one was altered or its disk failed",
      data: { path, where: "headers" },
    },
  );
}

/** Puts zeros where the digits stand, which may reach into the chunk from either side. */
function blank(bytes: Buffer, at: number): void {
  const [start, end] = [Math.max(at, 0), Math.min(at + NO_CHECKSUM.length, bytes.length)];
  if (start < end) bytes.fill("0", start, end, "latin1");
}
