/**
 * CRC32C (Castagnoli, RFC 3720 appendix B.4) of headers and notes. Page data is checked by the native library;
 * zlib.crc32 is another polynomial and must not be mixed with it.
 */

/** The polynomial 0x1EDC6F41 with its bits reversed. */
const POLYNOMIAL = 0x82f63b78;

/** What a byte becomes by itself and by one to seven bytes of zeros behind it, 256 of each: eight bytes are taken at once. */
const TABLES = makeTables();

/** Checksum of `bytes` as an unsigned 32-bit number; `previous` continues a checksum over earlier bytes. */
export function crc32c(bytes: Uint8Array, previous = 0): number {
  const { buffer, byteOffset, length } = bytes;
  // Words of memory have the lowest byte first on this machine, and their places are multiples of their length.
  const head = -byteOffset & 3;
  if (length < head) return ~byByte(bytes, ~previous) >>> 0;
  const words = new Int32Array(buffer, byteOffset + head, ((length - head) >> 3) * 2);
  let crc = byByte(bytes.subarray(0, head), ~previous);
  for (let at = 0; at < words.length; at += 2) {
    const low = crc ^ (words[at] as number);
    const high = words[at + 1] as number;
    crc =
      (TABLES[0x700 | (low & 0xff)] as number) ^
      (TABLES[0x600 | ((low >>> 8) & 0xff)] as number) ^
      (TABLES[0x500 | ((low >>> 16) & 0xff)] as number) ^
      (TABLES[0x400 | (low >>> 24)] as number) ^
      (TABLES[0x300 | (high & 0xff)] as number) ^
      (TABLES[0x200 | ((high >>> 8) & 0xff)] as number) ^
      (TABLES[0x100 | ((high >>> 16) & 0xff)] as number) ^
      (TABLES[high >>> 24] as number);
  }
  return ~byByte(bytes.subarray(head + words.length * 4), crc) >>> 0;
}

function byByte(bytes: Uint8Array, before: number): number {
  let crc = before;
  for (const byte of bytes) crc = (crc >>> 8) ^ (TABLES[(crc ^ byte) & 0xff] as number);
  return crc;
}

function makeTables(): Int32Array {
  const tables = new Int32Array(8 * 256);
  tables.set(makeTable());
  for (let at = 256; at < tables.length; at += 1) {
    const before = tables[at - 256] as number;
    tables[at] = (before >>> 8) ^ (tables[before & 0xff] as number);
  }
  return tables;
}

/** The entry of a value is that of its highest bit and that of the rest. */
function makeTable(): Int32Array {
  const table = new Int32Array(256);
  for (let bit = 128, crc = 1; bit > 0; bit >>= 1) {
    crc = (crc >>> 1) ^ (crc & 1 ? POLYNOMIAL : 0);
    for (let rest = 0; rest < 256; rest += 2 * bit) table[bit + rest] = crc ^ (table[rest] as number);
  }
  return table;
}
