/**
 * The build-id of an ELF file: the linker's hash of its content (NT_GNU_BUILD_ID), which tells two builds apart
 * however they are named or dated. Knows just enough of ELF64 to find the note; core files are read elsewhere.
 */
import { closeSync, openSync, readSync } from "node:fs";

/** Bytes of an ELF file or image at an offset; fewer where it ends. */
export type ReadBytes = (offset: number, lengthBytes: number) => Buffer;

const HEADER_BYTES = 64;
const PROGRAM_HEADER_BYTES = 56;
const PROGRAM_HEADERS_MAX = 512;
const PT_NOTE = 4;
const NT_GNU_BUILD_ID = 3;
/** Note segments of real programs have a few hundred bytes; build-ids 16 or 20. */
const NOTES_BYTES_MAX = 65_536;
const BUILD_ID_BYTES_MAX = 64;

/**
 * The build-id of the file in hex, null when it has none or is not a 64-bit ELF file. Reads at most a few pages.
 * Errors of open(2) and read(2) pass through as Node gives them (`ENOENT`, `EACCES`, …).
 */
export function readBuildId(path: string): string | null {
  const fd = openSync(path, "r");
  try {
    return buildIdOf((offset, lengthBytes) => {
      const bytes = Buffer.alloc(lengthBytes);
      return bytes.subarray(0, readSync(fd, bytes, 0, lengthBytes, offset));
    });
  } finally {
    closeSync(fd);
  }
}

/** The same for an ELF file that is read by `read`, such as its first page inside a core. */
export function buildIdOf(read: ReadBytes): string | null {
  const header = read(0, HEADER_BYTES);
  // Magic, then EI_CLASS 2 (64 bit) and EI_DATA 1 (little endian).
  if (header.length < HEADER_BYTES || header.readUInt32BE(0) !== 0x7f454c46) return null;
  if (header[4] !== 2 || header[5] !== 1 || header.readUInt16LE(54) !== PROGRAM_HEADER_BYTES) return null;
  const count = Math.min(header.readUInt16LE(56), PROGRAM_HEADERS_MAX);
  const tableOffset = Number(header.readBigUInt64LE(32));
  if (!Number.isSafeInteger(tableOffset)) return null;
  const table = read(tableOffset, count * PROGRAM_HEADER_BYTES);
  for (let at = 0; at + PROGRAM_HEADER_BYTES <= table.length; at += PROGRAM_HEADER_BYTES) {
    if (table.readUInt32LE(at) !== PT_NOTE) continue;
    const offset = Number(table.readBigUInt64LE(at + 8));
    const lengthBytes = Number(table.readBigUInt64LE(at + 32));
    if (!Number.isSafeInteger(offset) || lengthBytes > NOTES_BYTES_MAX) continue;
    const found = findInNotes(read(offset, lengthBytes), Number(table.readBigUInt64LE(at + 48)));
    if (found !== null) return found;
  }
  return null;
}

/** Notes are padded to 4 bytes, or to 8 where the segment is aligned so (elf(5)). */
function findInNotes(notes: Buffer, align: number): string | null {
  const unit = align === 8 ? 8 : 4;
  const padded = (length: number) => Math.ceil(length / unit) * unit;
  for (let at = 0; at + 12 <= notes.length; ) {
    const nameBytes = notes.readUInt32LE(at);
    const descBytes = notes.readUInt32LE(at + 4);
    const type = notes.readUInt32LE(at + 8);
    const desc = at + padded(12 + nameBytes);
    const end = desc + descBytes;
    if (end > notes.length) return null;
    const name = notes.toString("latin1", at + 12, at + 12 + nameBytes);
    if (type === NT_GNU_BUILD_ID && name === "GNU\0" && descBytes > 0 && descBytes <= BUILD_ID_BYTES_MAX) {
      return notes.toString("hex", desc, end);
    }
    at = desc + padded(descBytes);
  }
  return null;
}
