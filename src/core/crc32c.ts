/**
 * CRC32C (Castagnoli, RFC 3720 appendix B.4) of headers and notes. Page data is checked by the native library;
 * zlib.crc32 is another polynomial and must not be mixed with it.
 */

/** The polynomial 0x1EDC6F41 with its bits reversed. */
const POLYNOMIAL = 0x82f63b78;

/** What a byte does to the checksum, and what it does when it has 1, 2 or 3 bytes behind it. */
const [TABLE, TABLE_1, TABLE_2, TABLE_3] = makeTables();

/** Checksum of `bytes` as an unsigned 32-bit number; `previous` continues a checksum over earlier bytes. */
export function crc32c(bytes: Uint8Array, previous = 0): number {
  let crc = ~previous;
  let index = 0;
  for (; index + 4 <= bytes.length; index += 4) {
    const low = (bytes[index] as number) | ((bytes[index + 1] as number) << 8);
    crc ^= low | ((bytes[index + 2] as number) << 16) | ((bytes[index + 3] as number) << 24);
    crc =
      (TABLE_3[crc & 0xff] as number) ^
      (TABLE_2[(crc >>> 8) & 0xff] as number) ^
      (TABLE_1[(crc >>> 16) & 0xff] as number) ^
      (TABLE[crc >>> 24] as number);
  }
  for (; index < bytes.length; index += 1) {
    crc = (crc >>> 8) ^ (TABLE[(crc ^ (bytes[index] as number)) & 0xff] as number);
  }
  return ~crc >>> 0;
}

function makeTables(): [Int32Array, Int32Array, Int32Array, Int32Array] {
  const first = makeTable();
  const behind = (table: Int32Array) => table.map((crc) => (crc >>> 8) ^ (first[crc & 0xff] as number));
  const [second, third] = [behind(first), behind(behind(first))];
  return [first, second, third, behind(third)];
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
