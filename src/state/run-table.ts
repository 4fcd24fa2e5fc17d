/**
 * Runs of pages, in a delta by the ten thousands: columns of numbers, and their form in a note, which takes a few bytes a run
 * instead of a row of JSON. Free of schemas, because checkpoints load it.
 */
import { PAGE_BYTES } from "./address.js";

/** What stands at an address: bytes of a file with their checksum, and a number that the note gives a meaning to. */
export interface TableRow {
  readonly lengthBytes: number;
  readonly fileOffset: number;
  readonly crc32c: number;
  /** PAGES: 1 for bytes that are those of the mapped file; DELTA: the ancestor. */
  readonly tag: number;
}

/** Bytes of a row of four varints (of 5, 5, 5 and 3 bytes at most) and a checksum, and of most rows. */
const ROW_BYTES_MAX = 22;
const ROW_BYTES = 11;
const TAG_MAX = 0xffff;
/** A page number of user space, and twice that of a file of 16 TiB with its sign, are less. */
const VARINT_MAX = 2 ** 35;

/** Runs in columns: their first pages, where these stand in the file, how many there are, all in pages. */
export interface RunColumns {
  readonly firsts: Float64Array;
  readonly places: Float64Array;
  readonly pages: Uint32Array;
  readonly checksums: Uint32Array;
  readonly tags: Uint16Array;
}

/** Columns with room for so many runs. */
export function runColumns(room: number): RunColumns {
  return {
    firsts: new Float64Array(room),
    places: new Float64Array(room),
    pages: new Uint32Array(room),
    checksums: new Uint32Array(room),
    tags: new Uint16Array(room),
  };
}

/** Runs in order of address and apart. */
export class RunTable {
  #columns: RunColumns;
  #count = 0;

  /** With room for so many. */
  constructor(room = 256) {
    this.#columns = runColumns(room);
  }

  /** Of columns that are full. */
  static of(columns: RunColumns): RunTable {
    const table = new RunTable(0);
    table.#columns = columns;
    table.#count = columns.tags.length;
    return table;
  }

  get count(): number {
    return this.#count;
  }

  /** Of all runs, in bytes. */
  get totalBytes(): number {
    let pages = 0;
    for (let row = 0; row < this.#count; row += 1) pages += this.#columns.pages[row] as number;
    return pages * PAGE_BYTES;
  }

  /** One more, behind the others and apart from them; whole pages. */
  add(address: number, { lengthBytes, fileOffset, crc32c, tag }: TableRow): void {
    const at = this.#count;
    if (at === this.#columns.tags.length) this.#grow();
    const { firsts, places, pages, checksums, tags } = this.#columns;
    firsts[at] = address / PAGE_BYTES;
    places[at] = fileOffset / PAGE_BYTES;
    pages[at] = lengthBytes / PAGE_BYTES;
    checksums[at] = crc32c;
    tags[at] = tag;
    this.#count += 1;
  }

  #grow(): void {
    const larger = runColumns(Math.max(this.#count * 2, 256));
    larger.firsts.set(this.#columns.firsts);
    larger.places.set(this.#columns.places);
    larger.pages.set(this.#columns.pages);
    larger.checksums.set(this.#columns.checksums);
    larger.tags.set(this.#columns.tags);
    this.#columns = larger;
  }

  /** Address of a run. */
  addressAt(row: number): number {
    return (this.#columns.firsts[row] as number) * PAGE_BYTES;
  }

  lengthAt(row: number): number {
    return (this.#columns.pages[row] as number) * PAGE_BYTES;
  }

  offsetAt(row: number): number {
    return (this.#columns.places[row] as number) * PAGE_BYTES;
  }

  tagAt(row: number): number {
    return this.#columns.tags[row] as number;
  }

  /**
   * As a note has them: of each the pages between it and the one before, its pages, the pages of the file between its place and
   * the end of the one before (zigzag), the tag, as varints of 7 bits a byte, lowest first; then the checksum, 4 bytes,
   * little-endian.
   */
  encode(): Buffer {
    const { firsts, places, pages, checksums, tags } = this.#columns;
    let out = Buffer.allocUnsafeSlow(this.#count * ROW_BYTES + ROW_BYTES_MAX);
    let words = new DataView(out.buffer);
    let [at, end, place] = [0, 0, 0];
    for (let row = 0; row < this.#count; row += 1) {
      if (at + ROW_BYTES_MAX > out.length) {
        out = Buffer.concat([out], out.length * 2);
        words = new DataView(out.buffer, out.byteOffset);
      }
      const [first, length] = [firsts[row] as number, pages[row] as number];
      const moved = (places[row] as number) - place;
      at = putVarint(out, at, first - end);
      at = putVarint(out, at, length);
      at = putVarint(out, at, moved >= 0 ? moved * 2 : -moved * 2 - 1);
      at = putVarint(out, at, tags[row] as number);
      words.setUint32(at, checksums[row] as number, true);
      at += 4;
      end = first + length;
      place += moved + length;
    }
    return out.subarray(0, at);
  }
}

/** Most are one byte, and most others below 2^31, in whole numbers. */
function putVarint(out: Buffer, at: number, value: number): number {
  if (value >= 0x80) return putLong(out, at, value);
  out[at] = value;
  return at + 1;
}

function putLong(out: Buffer, at: number, value: number): number {
  let next = at;
  let left = value;
  for (; left >= 2 ** 31; next += 1) {
    out[next] = (left % 0x80) | 0x80;
    left = Math.floor(left / 0x80);
  }
  for (; left >= 0x80; next += 1) {
    out[next] = (left & 0x7f) | 0x80;
    left >>>= 7;
  }
  out[next] = left;
  return next + 1;
}

/** The rows of an encoded table, each made by `make`; null when the bytes are none that it writes. */
export function decodeRunTable<T>(bytes: Buffer, make: (address: bigint, row: TableRow) => T): T[] | null {
  const rows: T[] = [];
  let [at, end, place] = [0, 0, 0];
  const varint = (): number => {
    const first = bytes[at] ?? Number.NaN;
    at += 1;
    return first < 0x80 ? first : longVarint(first);
  };
  const longVarint = (first: number): number => {
    let value = first & 0x7f;
    for (let unit = 0x80; unit < VARINT_MAX; unit *= 0x80) {
      const byte = bytes[at] ?? Number.NaN;
      at += 1;
      value += (byte & 0x7f) * unit;
      if (byte < 0x80) return value;
    }
    return Number.NaN;
  };
  while (at < bytes.length) {
    const gap = varint();
    const pages = varint();
    const moved = varint();
    const tag = varint();
    const first = end + gap;
    const there = place + (moved % 2 === 0 ? moved / 2 : -(moved + 1) / 2);
    const isRow = pages > 0 && there >= 0 && tag <= TAG_MAX && first + pages <= VARINT_MAX;
    if (!isRow || at + 4 > bytes.length) return null;
    const crc32c = bytes.readUInt32LE(at);
    at += 4;
    const row = { lengthBytes: pages * PAGE_BYTES, fileOffset: there * PAGE_BYTES, crc32c, tag };
    rows.push(make(BigInt(first * PAGE_BYTES), row));
    end = first + pages;
    place = there + pages;
  }
  return rows;
}
