/**
 * CRC32C (Castagnoli, RFC 3720 appendix B.4) of headers and notes. Page data is checked by the native library;
 * zlib.crc32 is another polynomial and must not be mixed with it.
 */

/** The polynomial 0x1EDC6F41 with its bits reversed. */
const POLYNOMIAL = 0x82f63b78;

/** What a byte becomes by itself and by one, two and three bytes of zeros behind it: four bytes are taken at once. */
const TABLES = makeTables();

/** Checksum of `bytes` as an unsigned 32-bit number; `previous` continues a checksum over earlier bytes. */
export function crc32c(bytes: Uint8Array, previous = 0): number {
  const [table, table1, table2, table3] = TABLES;
  const fours = bytes.length & ~3;
  let crc = ~previous;
  let at = 0;
  for (; at < fours; at += 4) {
    const four =
      (bytes[at] as number) |
      ((bytes[at + 1] as number) << 8) |
      ((bytes[at + 2] as number) << 16) |
      ((bytes[at + 3] as number) << 24);
    crc ^= four;
    crc =
      (table3[crc & 0xff] as number) ^
      (table2[(crc >>> 8) & 0xff] as number) ^
      (table1[(crc >>> 16) & 0xff] as number) ^
      (table[crc >>> 24] as number);
  }
  for (; at < bytes.length; at += 1) {
    crc = (crc >>> 8) ^ (table[(crc ^ (bytes[at] as number)) & 0xff] as number);
  }
  return ~crc >>> 0;
}

function makeTables(): readonly [Int32Array, Int32Array, Int32Array, Int32Array] {
  const first = makeTable();
  const next = (table: Int32Array) => table.map((crc) => (crc >>> 8) ^ (first[crc & 0xff] as number));
  const second = next(first);
  const third = next(second);
  return [first, second, third, next(third)];
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
