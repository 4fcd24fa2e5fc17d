/**
 * Takes a good core apart to make bad ones: where its headers and notes begin and end, and copies with one field
 * changed. Independent of the reader under test on purpose; offsets from elf(5).
 */
export interface ProgramHeader {
  readonly at: number;
  readonly type: number;
  readonly offset: number;
  readonly address: bigint;
  readonly fileBytes: number;
}

export interface NotePlace {
  readonly at: number;
  readonly owner: string;
  readonly type: number;
  readonly bodyAt: number;
  readonly bodyBytes: number;
  readonly end: number;
}

export const ELF_MACHINE_AT = 18;
const PHOFF_AT = 32;
const PHENTSIZE = 56;
const PHNUM_AT = 56;
export const PT_LOAD = 1;
export const PT_NOTE = 4;

export function programHeaders(core: Buffer): ProgramHeader[] {
  const start = Number(core.readBigUInt64LE(PHOFF_AT));
  return Array.from({ length: core.readUInt16LE(PHNUM_AT) }, (_, index) => {
    const at = start + index * PHENTSIZE;
    return {
      at,
      type: core.readUInt32LE(at),
      offset: Number(core.readBigUInt64LE(at + 8)),
      address: core.readBigUInt64LE(at + 16),
      fileBytes: Number(core.readBigUInt64LE(at + 32)),
    };
  });
}

export function notes(core: Buffer): NotePlace[] {
  const places: NotePlace[] = [];
  for (const segment of programHeaders(core).filter(({ type }) => type === PT_NOTE)) {
    for (let at = segment.offset; at < segment.offset + segment.fileBytes; ) {
      const nameBytes = core.readUInt32LE(at);
      const bodyBytes = core.readUInt32LE(at + 4);
      const bodyAt = at + 12 + ((nameBytes + 3) & ~3);
      const owner = core.toString("latin1", at + 12, at + 12 + nameBytes - 1);
      const end = bodyAt + ((bodyBytes + 3) & ~3);
      places.push({ at, owner, type: core.readUInt32LE(at + 8), bodyAt, bodyBytes, end });
      at = end;
    }
  }
  return places;
}

/** Every offset at which something of the core's structure begins or ends, ascending, below its length. */
export function boundaries(core: Buffer): number[] {
  const headers = programHeaders(core);
  const found = [
    ...[0, 1, 4, 16, 63, 64, Number(core.readBigUInt64LE(PHOFF_AT))],
    ...headers.flatMap(({ at, offset, fileBytes }) => [at, at + PHENTSIZE, offset, offset + fileBytes]),
    ...notes(core).flatMap(({ at, bodyAt, end }) => [at, bodyAt, end]),
    core.length - 1,
  ];
  return [...new Set(found)].filter((offset) => offset < core.length).sort((a, b) => a - b);
}

/** A copy that `edit` has changed. */
export function edited(core: Buffer, edit: (copy: Buffer) => void): Buffer {
  const copy = Buffer.from(core);
  edit(copy);
  return copy;
}

/** The segments of memory, in order. */
export function loads(core: Buffer): ProgramHeader[] {
  return programHeaders(core).filter(({ type }) => type === PT_LOAD);
}

/** Writes the address of a segment. */
export function setAddress(core: Buffer, { at }: ProgramHeader, address: bigint): void {
  core.writeBigUInt64LE(address, at + 16);
}
