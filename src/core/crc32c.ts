/**
 * CRC32C (Castagnoli, RFC 3720 appendix B.4) of headers and notes. Page data is checked by the native library;
 * zlib.crc32 is another polynomial and must not be mixed with it.
 */

/** The polynomial 0x1EDC6F41 with its bits reversed. */
const POLYNOMIAL = 0x82f63b78;

const TABLE = makeTable();

/** Checksum of `bytes` as an unsigned 32-bit number; `previous` continues a checksum over earlier bytes. */
export function crc32c(bytes: Uint8Array, previous = 0): number {
  let crc = ~previous;
  for (let index = 0; index < bytes.length; index += 1) {
    crc = (crc >>> 8) ^ (TABLE[(crc ^ (bytes[index] as number)) & 0xff] as number);
  }
  return ~crc >>> 0;
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
