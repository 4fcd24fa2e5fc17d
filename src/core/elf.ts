/**
 * ELF64 headers (elf(5)): the shapes, and their bytes when written. Reading them is elf-read.ts, which loads
 * the parser that a checkpoint does not need.
 *
 *   0 header (64) | … data, notes … | program headers (56 each) | section header 0 (64, with PN_XNUM only)
 */
import type { Address } from "../state/address.js";

export const ELF_HEADER_BYTES = 64;
export const PROGRAM_HEADER_BYTES = 56;
export const SECTION_HEADER_BYTES = 64;
/** e_phnum of a file with 65,535 segments or more: the true count is sh_info of section 0 (elf(5)). */
export const PN_XNUM = 0xffff;

const ET_CORE = 4;
const EM_X86_64 = 62;
export const PT_LOAD = 1;
const PT_NOTE = 4;

/** What Recore needs to know of an ELF header. */
export interface ElfHeader {
  /** `core`, `exec`, `dyn`, … */
  readonly type: string;
  readonly entry: Address;
  /** Where the program headers stand, and how many there are (true count, also with PN_XNUM). */
  readonly phoff: number;
  readonly phnum: number;
  readonly shoff: number;
  readonly shnum: number;
  readonly shstrndx: number;
}

/** A program header. */
export interface Segment {
  readonly kind: "load" | "note" | "other";
  /** `rwx`, a dash for what is missing. */
  readonly prot: string;
  readonly offset: number;
  readonly address: Address;
  readonly fileBytes: number;
  readonly memoryBytes: number;
}

/** The 64-byte header of a core whose program headers start at `phoff`. */
export function encodeCoreHeader(phoff: number, phnum: number): Buffer {
  const extended = phnum >= PN_XNUM;
  const bytes = Buffer.alloc(ELF_HEADER_BYTES);
  bytes.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1]);
  bytes.writeUInt16LE(ET_CORE, 16);
  bytes.writeUInt16LE(EM_X86_64, 18);
  bytes.writeUInt32LE(1, 20);
  bytes.writeBigUInt64LE(BigInt(phoff), 32);
  bytes.writeBigUInt64LE(BigInt(extended ? phoff + phnum * PROGRAM_HEADER_BYTES : 0), 40);
  bytes.writeUInt16LE(ELF_HEADER_BYTES, 52);
  bytes.writeUInt16LE(PROGRAM_HEADER_BYTES, 54);
  bytes.writeUInt16LE(extended ? PN_XNUM : phnum, 56);
  bytes.writeUInt16LE(extended ? SECTION_HEADER_BYTES : 0, 58);
  bytes.writeUInt16LE(extended ? 1 : 0, 60);
  return bytes;
}

/** The program headers, behind them section header 0 where their number asks for it. */
export function encodeProgramHeaders(segments: readonly Segment[]): Buffer {
  return Buffer.concat(programHeaderParts(segments, Buffer.alloc(0)));
}

/** The same in parts, with `more` that are encoded already, which may be large. */
export function programHeaderParts(segments: readonly Segment[], more: Buffer): Buffer[] {
  const bytes = Buffer.alloc(segments.length * PROGRAM_HEADER_BYTES);
  for (const [index, segment] of segments.entries()) {
    const at = index * PROGRAM_HEADER_BYTES;
    bytes.writeUInt32LE(segment.kind === "note" ? PT_NOTE : PT_LOAD, at);
    bytes.writeUInt32LE(encodeProt(segment.prot), at + 4);
    bytes.writeBigUInt64LE(BigInt(segment.offset), at + 8);
    bytes.writeBigUInt64LE(segment.address, at + 16);
    bytes.writeBigUInt64LE(BigInt(segment.fileBytes), at + 32);
    bytes.writeBigUInt64LE(BigInt(segment.memoryBytes), at + 40);
    bytes.writeBigUInt64LE(segment.kind === "note" ? 4n : 4096n, at + 48);
  }
  const count = segments.length + more.length / PROGRAM_HEADER_BYTES;
  const section = Buffer.alloc(count >= PN_XNUM ? SECTION_HEADER_BYTES : 0);
  if (section.length > 0) {
    section.writeBigUInt64LE(1n, 32);
    section.writeUInt32LE(count, 44);
  }
  return [bytes, more, section];
}

/** The flags of a segment: PF_X 1, PF_W 2, PF_R 4. */
export function encodeProt(prot: string): number {
  return (prot[0] === "r" ? 4 : 0) | (prot[1] === "w" ? 2 : 0) | (prot[2] === "x" ? 1 : 0);
}
