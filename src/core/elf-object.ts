/**
 * A program or library that a core maps, as far as a restart has to look into it: its PT_LOADs and the values of
 * a few symbols. What cannot be read is null: the core may come from another machine.
 */
import { closeSync, constants, fstatSync, openSync } from "node:fs";
import type { Address } from "../state/address.js";
import { type ByteSource, fileSource } from "./byte-source.js";
import { type ElfHeader, SECTION_HEADER_BYTES, type Segment } from "./elf.js";
import { readElfHeader, readSegments } from "./elf-read.js";

const SHT_SYMTAB = 2;
const SHT_DYNSYM = 11;
const SYMBOL_BYTES = 24;

/** Bound of a symbol or string table; larger ones are not searched. */
const TABLE_BYTES_MAX = 256 << 20;

export interface ElfObject {
  readonly header: ElfHeader;
  readonly loads: readonly Segment[];
  /** Value (address before the load bias) of each of `names` that is defined; dynamic symbols win. */
  readonly symbols: ReadonlyMap<string, Address>;
}

/** Reads an ELF file with those of its symbols that are asked for; null when it is none, or not readable. */
export function readObject(path: string, names: readonly string[]): ElfObject | null {
  let fd: number;
  try {
    fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOCTTY);
  } catch {
    return null;
  }
  try {
    const stat = fstatSync(fd);
    if (!stat.isFile()) return null;
    const source = fileSource(fd, path, stat.size);
    const header = readElfHeader(source);
    const loads = readSegments(source, header).filter(({ kind }) => kind === "load");
    return { header, loads, symbols: findSymbols(source, header, names) };
  } catch {
    return null;
  } finally {
    closeSync(fd);
  }
}

interface Section {
  readonly type: number;
  readonly offset: number;
  readonly sizeBytes: number;
  readonly link: number;
}

function findSymbols(source: ByteSource, header: ElfHeader, names: readonly string[]): Map<string, Address> {
  const found = new Map<string, Address>();
  const sections = header.shoff === 0 || names.length === 0 ? [] : readSections(source, header);
  for (const type of [SHT_DYNSYM, SHT_SYMTAB]) {
    const table = sections.find((section) => section.type === type);
    const strings = table && sections[table.link];
    if (!table || !strings || table.sizeBytes + strings.sizeBytes > TABLE_BYTES_MAX) continue;
    const symbols = source.read(table.offset, table.sizeBytes);
    const text = source.read(strings.offset, strings.sizeBytes);
    for (const name of names) {
      const value = found.has(name) ? null : definedValue(symbols, offsetsOf(text, name));
      if (value !== null) found.set(name, value);
    }
  }
  return found;
}

function readSections(source: ByteSource, { shoff, shnum }: ElfHeader): Section[] {
  const bytes = source.read(shoff, shnum * SECTION_HEADER_BYTES);
  return Array.from({ length: shnum }, (_, index) => {
    const at = index * SECTION_HEADER_BYTES;
    return {
      type: bytes.readUInt32LE(at + 4),
      offset: Number(bytes.readBigUInt64LE(at + 24)),
      sizeBytes: Number(bytes.readBigUInt64LE(at + 32)),
      link: bytes.readUInt32LE(at + 40),
    };
  });
}

/** Where a name stands in a string table; linkers let a name be the end of a longer one. */
function offsetsOf(text: Buffer, name: string): Set<number> {
  const offsets = new Set<number>();
  const needle = Buffer.from(`${name}\0`, "latin1");
  for (let at = text.indexOf(needle); at >= 0; at = text.indexOf(needle, at + 1)) offsets.add(at);
  return offsets;
}

/** The first defined symbol with one of these names (Elf64_Sym: name 4, info, other, shndx 2, value 8, size 8). */
function definedValue(symbols: Buffer, names: ReadonlySet<number>): Address | null {
  if (names.size === 0) return null;
  for (let at = 0; at + SYMBOL_BYTES <= symbols.length; at += SYMBOL_BYTES) {
    if (names.has(symbols.readUInt32LE(at)) && symbols.readUInt16LE(at + 6) !== 0) {
      return symbols.readBigUInt64LE(at + 8);
    }
  }
  return null;
}
