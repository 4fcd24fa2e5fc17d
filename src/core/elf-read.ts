/**
 * Reads ELF64 headers, of cores and of the programs a core maps. The only file that knows elfy, which gives
 * names of types and flags; its addresses are doubles and it cannot read PN_XNUM or cores without sections,
 * so it is fed a header and tables it can read, and 64-bit fields are read here.
 */
import elfy, { type ElfyHeader } from "elfy";
import type { CrError } from "../errors.js";
import { type ByteSource, badCore, requireBytes } from "./byte-source.js";
import {
  ELF_HEADER_BYTES,
  type ElfHeader,
  encodeCoreHeader,
  PN_XNUM,
  PROGRAM_HEADER_BYTES,
  SECTION_HEADER_BYTES,
  type Segment,
} from "./elf.js";
import { decodePreamble, PREAMBLE_BYTES } from "./stream.js";

const MAGIC = Buffer.from("\x7fELF", "latin1");
const NOT_A_CORE = "name a file that cr checkpoint, gcore or the kernel wrote";

/** Far above vm.max_map_count; a bound for hostile input. */
const SEGMENTS_MAX = 1 << 20;
const SEGMENTS_AT_ONCE = 4096;

/** Somebody may have kept a stream (stream.ts) in a file. */
function notElf(path: string, start: Buffer): CrError {
  if (start.length === PREAMBLE_BYTES && decodePreamble(start) !== null) {
    const hint = `restore it by cr restore - < ${path}, or make a core of it: cr export - -o CORE < ${path}`;
    return badCore(path, "the file is a stream of cr checkpoint -o -, an ELF core is required", hint);
  }
  return badCore(path, "the file does not start as ELF does, an ELF core is required", NOT_A_CORE);
}

/** The ELF64 x86-64 header; BAD_CORE when it is something else, CORE_TRUNCATED when it is cut. */
export function readElfHeader(source: ByteSource): ElfHeader {
  const { path, sizeBytes } = source;
  if (sizeBytes === 0) throw badCore(path, "the file is empty, an ELF core is required", NOT_A_CORE);
  const start = source.read(0, Math.min(sizeBytes, PREAMBLE_BYTES));
  if (!start.subarray(0, MAGIC.length).equals(MAGIC.subarray(0, start.length))) {
    throw notElf(path, start);
  }
  requireBytes(source, { offset: 0, lengthBytes: ELF_HEADER_BYTES, what: "the ELF header" });
  const bytes = source.read(0, ELF_HEADER_BYTES);
  const named = nameHeader(bytes, path);
  const shoff = readSize(bytes, 40);
  const header = {
    type: named.type ?? `type ${bytes.readUInt16LE(16)}`,
    entry: bytes.readBigUInt64LE(24),
    phoff: readSize(bytes, 32),
    shoff,
    shnum: bytes.readUInt16LE(60),
    shstrndx: bytes.readUInt16LE(62),
  };
  return { ...header, phnum: readSegmentCount(source, bytes, shoff) };
}

/** All program headers; CORE_TRUNCATED when the file ends before they do. */
export function readSegments(source: ByteSource, header: ElfHeader): Segment[] {
  const { path } = source;
  if (header.phnum === 0) throw badCore(path, "it has no segments, at least notes are required");
  if (header.phnum > SEGMENTS_MAX) {
    throw badCore(path, `its header says ${header.phnum} segments, at most ${SEGMENTS_MAX} are read`);
  }
  const lengthBytes = header.phnum * PROGRAM_HEADER_BYTES;
  requireBytes(source, { offset: header.phoff, lengthBytes, what: `its ${header.phnum} program headers` });
  const segments: Segment[] = [];
  for (let first = 0; first < header.phnum; first += SEGMENTS_AT_ONCE) {
    const count = Math.min(SEGMENTS_AT_ONCE, header.phnum - first);
    const table = source.read(header.phoff + first * PROGRAM_HEADER_BYTES, count * PROGRAM_HEADER_BYTES);
    for (const segment of decodeProgramHeaders(table, count)) segments.push(segment);
  }
  return segments;
}

function nameHeader(bytes: Buffer, path: string): ElfyHeader {
  const wordBits = bytes[4] === 1 ? "32-bit" : `class ${bytes[4]}`;
  if (bytes[4] !== 2) throw badCore(path, `it is ${wordBits} ELF, 64-bit is required`, NOT_A_CORE);
  if (bytes[5] !== 1) throw badCore(path, "it is big-endian ELF, little-endian is required", NOT_A_CORE);
  const header = new elfy.Parser().parseHeader(bytes);
  const machine = bytes.readUInt16LE(18);
  if (machine !== 62) {
    const name = header.machine ?? `machine ${machine}`;
    throw badCore(path, `it is for another machine (${name}), x86-64 is required`, NOT_A_CORE);
  }
  const entryBytes = bytes.readUInt16LE(54);
  if (bytes.readUInt16LE(56) > 0 && entryBytes !== PROGRAM_HEADER_BYTES) {
    throw badCore(
      path,
      `its program headers have ${entryBytes} bytes each, ${PROGRAM_HEADER_BYTES} are required`,
    );
  }
  return header;
}

function readSegmentCount(source: ByteSource, bytes: Buffer, shoff: number): number {
  const phnum = bytes.readUInt16LE(56);
  if (phnum !== PN_XNUM) return phnum;
  if (shoff === 0) {
    throw badCore(
      source.path,
      "it has more segments than its header can count, section header 0 is required",
    );
  }
  requireBytes(source, { offset: shoff, lengthBytes: SECTION_HEADER_BYTES, what: "section header 0" });
  return source.read(shoff, SECTION_HEADER_BYTES).readUInt32LE(44);
}

function decodeProgramHeaders(table: Buffer, count: number): Segment[] {
  // A header of our own with the table right behind it: elfy wants both, and counts below PN_XNUM.
  const bytes = Buffer.concat([encodeCoreHeader(ELF_HEADER_BYTES, count), table]);
  const parser = new elfy.Parser();
  const programs = parser.parsePrograms(bytes, parser.parseHeader(bytes));
  return programs.map(({ type, flags }, index): Segment => {
    const at = index * PROGRAM_HEADER_BYTES;
    return {
      kind: type === "load" || type === "note" ? type : "other",
      prot: `${flags.r ? "r" : "-"}${flags.w ? "w" : "-"}${flags.x ? "x" : "-"}`,
      offset: readSize(table, at + 8),
      address: table.readBigUInt64LE(at + 16),
      fileBytes: readSize(table, at + 32),
      memoryBytes: readSize(table, at + 40),
    };
  });
}

/** Sizes and offsets as numbers: what does not fit 53 bits is past the end of any file, and stays so. */
function readSize(bytes: Buffer, at: number): number {
  return Number(bytes.readBigUInt64LE(at));
}
