/**
 * NT_FILE (fill_files_note of fs/binfmt_elf.c): which file is mapped where.
 *
 *   0 count | 8 page size | 16 (start, end, offset in pages) of 24 bytes each | names, each ending in NUL
 */
import { type Address, hex, PAGE_BYTES, USER_END } from "../state/address.js";
import type { Vma } from "../state/vma.js";
import { badCore } from "./byte-source.js";

const ROW_BYTES = 24;
const DELETED = " (deleted)";

export interface MappedFile {
  readonly start: Address;
  readonly end: Address;
  /** Offset in the file in bytes. */
  readonly offset: bigint;
  readonly path: string;
  readonly deleted: boolean;
}

/** The files among the mappings; a deleted one keeps the ending that the kernel gives its name. */
export function mappedFilesOf(vmas: readonly Vma[]): MappedFile[] {
  return vmas.filter(({ kind }) => kind === "file" || kind === "shared-file");
}

/** The body of the note; offsets must be whole pages. */
export function encodeNtFile(files: readonly MappedFile[]): Buffer {
  const rows = Buffer.alloc(16 + files.length * ROW_BYTES);
  rows.writeBigUInt64LE(BigInt(files.length), 0);
  rows.writeBigUInt64LE(BigInt(PAGE_BYTES), 8);
  for (const [index, { start, end, offset }] of files.entries()) {
    const at = 16 + index * ROW_BYTES;
    rows.writeBigUInt64LE(start, at);
    rows.writeBigUInt64LE(end, at + 8);
    rows.writeBigUInt64LE(offset / BigInt(PAGE_BYTES), at + 16);
  }
  const names = files.map(({ path, deleted }) => `${path}${deleted ? DELETED : ""}\0`).join("");
  return Buffer.concat([rows, Buffer.from(names, "utf8")]);
}

/** BAD_CORE where the note contradicts itself; the files come in order and apart. */
export function decodeNtFile(desc: Buffer, path: string): MappedFile[] {
  const bad = (what: string) => badCore(path, `the note NT_FILE ${what}`);
  if (desc.length < 16) throw bad(`has ${desc.length} bytes, at least 16 are required`);
  const count = Number(desc.readBigUInt64LE(0));
  const pageBytes = desc.readBigUInt64LE(8);
  if (pageBytes > 1n << 30n) throw bad(`has pages of ${pageBytes} bytes`);
  if (16 + count * ROW_BYTES > desc.length) throw bad(`claims ${count} files in ${desc.length} bytes`);
  const files: MappedFile[] = [];
  let nameAt = 16 + count * ROW_BYTES;
  for (let index = 0; index < count; index += 1) {
    const at = 16 + index * ROW_BYTES;
    const nameEnd = desc.indexOf(0, nameAt);
    if (nameEnd < 0) throw bad(`has no name for file ${index} of ${count}`);
    const name = desc.toString("utf8", nameAt, nameEnd);
    nameAt = nameEnd + 1;
    const start = desc.readBigUInt64LE(at);
    const end = desc.readBigUInt64LE(at + 8);
    if (start >= end || start < (files.at(-1)?.end ?? 0n) || end > USER_END || (start | end) & 0xfffn) {
      throw bad(
        `maps ${name} from ${hex(start)} to ${hex(end)}, whole pages in order and apart are required`,
      );
    }
    const deleted = name.endsWith(DELETED);
    files.push({
      start,
      end,
      offset: BigInt.asUintN(64, desc.readBigUInt64LE(at + 16) * pageBytes),
      path: deleted ? name.slice(0, -DELETED.length) : name,
      deleted,
    });
  }
  return files;
}
