/**
 * Writes what stands behind the data of a core, and last its first page: a file without ELF header is not taken
 * for a core. The caller has put the page data in place and makes the file durable.
 *
 *   tailOffset: notes (CHECKSUM last) | program headers, 8-aligned | section header 0 (PN_XNUM only)
 */
import { ftruncateSync } from "node:fs";
import { writeAll, writeAllOf } from "../file-bytes.js";
import { PAGE_BYTES } from "../state/address.js";
import { crc32c } from "./crc32c.js";
import { encodeCoreHeader, programHeaderParts, type Segment } from "./elf.js";
import type { CoreLayout } from "./layout.js";
import { LoadTable } from "./load-table.js";
import { encodeChecksumNote, encodeRecoreNotes, type WrittenState } from "./recore-notes.js";
import { encodeStandardNotes } from "./standard-notes.js";

export interface CoreTail {
  /** What debuggers are shown, of a delta in a table. */
  readonly layout: { readonly segments: CoreLayout["segments"] | LoadTable };
  /** The process with its runs and their checksums. */
  readonly state: WrittenState;
  /** Page-aligned offset behind all data, in bytes. */
  readonly tailOffset: number;
}

/** A core as a manifest names it: its size in bytes and the digits of its note CHECKSUM. */
export interface WrittenCore {
  readonly sizeBytes: number;
  readonly checksum: string;
}

/**
 * Writes notes, program headers and header of a core. Failures of the system (ENOSPC,
 * EIO, …) are thrown as Node reports them.
 */
export function writeCoreTail(fd: number, { layout, state, tailOffset }: CoreTail): WrittenCore {
  if (tailOffset % PAGE_BYTES !== 0) throw new RangeError(`tail offset ${tailOffset} is not a whole page`);
  const parts = joined([...encodeStandardNotes(state), ...encodeRecoreNotes(state)]);
  const note = encodeChecksumNote();
  parts.push(note.bytes);
  const noteBytes = sizeOf(parts);
  const tableAt = Math.ceil(noteBytes / 8) * 8;
  const padding = Buffer.alloc(tableAt - noteBytes);
  const own = noteSegment(tailOffset, noteBytes);
  const { segments } = layout;
  const isTable = segments instanceof LoadTable;
  const [shown, more] = isTable ? [[own], segments.bytes] : [[own, ...segments], Buffer.alloc(0)];
  parts.push(...joined([padding, ...programHeaderParts(shown, more)]));
  const headerPage = Buffer.alloc(PAGE_BYTES);
  encodeCoreHeader(tailOffset + tableAt, 1 + (isTable ? segments.count : segments.length)).copy(headerPage);
  const sum = parts.reduce((before, part) => crc32c(part, before), crc32c(headerPage));
  const checksum = checksumDigits(sum);
  note.bytes.write(checksum, note.digitsAt, "latin1");
  writeAllOf(fd, parts, tailOffset);
  const sizeBytes = tailOffset + sizeOf(parts);
  ftruncateSync(fd, sizeBytes);
  writeAll(fd, headerPage, 0);
  return { sizeBytes, checksum };
}

/** Less than this is sooner copied than treated by itself, in bytes. */
const SMALL_BYTES = 64 << 10;

/** The same bytes, with small parts that follow one another as one; large ones are not copied. */
function joined(parts: readonly Buffer[]): Buffer[] {
  const groups: Buffer[][] = [];
  let isOpen = false;
  for (const part of parts) {
    const isSmall = part.length < SMALL_BYTES;
    if (isSmall && isOpen) groups.at(-1)?.push(part);
    else groups.push([part]);
    isOpen = isSmall;
  }
  return groups.map((group) => (group.length === 1 ? (group[0] as Buffer) : Buffer.concat(group)));
}

/** A checksum as its note spells it: eight hex digits. */
export function checksumDigits(value: number): string {
  return value.toString(16).padStart(8, "0");
}

function noteSegment(offset: number, fileBytes: number): Segment {
  return { kind: "note", prot: "r--", offset, address: 0n, fileBytes, memoryBytes: 0 };
}

function sizeOf(parts: readonly Buffer[]): number {
  return parts.reduce((sum, part) => sum + part.length, 0);
}
