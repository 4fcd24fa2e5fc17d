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

/** Bytes of a row of four varints (of 5, 5, 5 and 3 bytes at most) and a checksum. */
const ROW_BYTES_MAX = 22;
const TAG_MAX = 0xffff;
/** A page number of user space, and twice that of a file of 16 TiB with its sign, are less. */
const VARINT_MAX = 2 ** 35;

/**
 * Runs in the form of a note as they come, in order of address and apart: of each the pages between it and the one before, its
 * pages, the pages of the file between its place and the end of the one before (zigzag), the tag, as varints of 7 bits a
 * byte, lowest first; then the checksum, 4 bytes, little-endian.
 */
export class RunBytes {
  #out = Buffer.allocUnsafe(1 << 16);
  #at = 0;
  #end = 0;
  #place = 0;
  #count = 0;
  #bytes = 0;

  get count(): number {
    return this.#count;
  }

  /** Of all runs, in bytes. */
  get totalBytes(): number {
    return this.#bytes;
  }

  /** As a note has them. */
  encode(): Buffer {
    return this.#out.subarray(0, this.#at);
  }

  /** One more, behind the others and apart from them; whole pages. */
  add(address: number, { lengthBytes, fileOffset, crc32c, tag }: TableRow): void {
    if (this.#at + ROW_BYTES_MAX > this.#out.length) this.#out = Buffer.concat([this.#out], this.#at * 2);
    const out = this.#out;
    const first = address / PAGE_BYTES;
    const pages = lengthBytes / PAGE_BYTES;
    const moved = fileOffset / PAGE_BYTES - this.#place;
    let at = putVarint(out, this.#at, first - this.#end);
    at = putVarint(out, at, pages);
    at = putVarint(out, at, moved >= 0 ? moved * 2 : -moved * 2 - 1);
    at = putVarint(out, at, tag);
    for (let byte = 0; byte < 4; byte += 1) out[at + byte] = crc32c >>> (8 * byte);
    this.#at = at + 4;
    this.#end = first + pages;
    this.#place += moved + pages;
    this.#count += 1;
    this.#bytes += lengthBytes;
  }
}

/** The same with columns beside, for those that are looked at again. */
export class RunTable extends RunBytes {
  #addresses = new Float64Array(256);
  #offsets = new Float64Array(256);
  #lengths = new Uint32Array(256);
  #tags = new Uint16Array(256);

  override add(address: number, row: TableRow): void {
    const at = this.count;
    if (at === this.#tags.length) this.#grow();
    this.#addresses[at] = address;
    this.#lengths[at] = row.lengthBytes;
    this.#offsets[at] = row.fileOffset;
    this.#tags[at] = row.tag;
    super.add(address, row);
  }

  #grow(): void {
    const room = this.count * 2;
    const [addresses, offsets] = [new Float64Array(room), new Float64Array(room)];
    const [lengths, tags] = [new Uint32Array(room), new Uint16Array(room)];
    addresses.set(this.#addresses);
    offsets.set(this.#offsets);
    lengths.set(this.#lengths);
    tags.set(this.#tags);
    [this.#addresses, this.#offsets] = [addresses, offsets];
    [this.#lengths, this.#tags] = [lengths, tags];
  }

  /** Address of a run. */
  addressAt(row: number): number {
    return this.#addresses[row] as number;
  }

  lengthAt(row: number): number {
    return this.#lengths[row] as number;
  }

  offsetAt(row: number): number {
    return this.#offsets[row] as number;
  }

  tagAt(row: number): number {
    return this.#tags[row] as number;
  }
}

/** Below 2^31 in whole numbers, which most are. */
function putVarint(out: Buffer, at: number, value: number): number {
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

/** The rows of `RunBytes`, each made by `make`; null when the bytes are none that it writes. */
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
