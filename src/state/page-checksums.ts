/**
 * CRC32C of a run of pages from the checksums of its pages: what stands still is summed up once, and a page that is
 * copied again changes its own checksum only. A checksum is linear: appending a page shifts the sum so far by the
 * length of a page, whatever the page holds (the same step as zlib's crc32_combine).
 */
/** What each bit of a checksum becomes by a page of zeros behind it, the lowest first: reckoning it takes a millisecond. */
const PAGE_SHIFT = [
  0xc2a5b65e, 0x80a71a4d, 0x04a2426b, 0x094484d6, 0x128909ac, 0x25121358, 0x4a2426b0, 0x94484d60, 0x2d7cec31,
  0x5af9d862, 0xb5f3b0c4, 0x6e0b1779, 0xdc162ef2, 0xbdc02b15, 0x7e6c20db, 0xfcd841b6, 0xfc5cf59d, 0xfd559dcb,
  0xff474d67, 0xfb62ec3f, 0xf329ae8f, 0xe3bf2bef, 0xc292212f, 0x80c834af, 0x047c1faf, 0x08f83f5e, 0x11f07ebc,
  0x23e0fd78, 0x47c1faf0, 0x8f83f5e0, 0x1aeb9d31, 0x35d73a62,
];

/** The shift by one page of each value of each byte of a checksum, the lowest byte first: 256 of each, signed as V8 reckons. */
const SHIFTS = makeShifts();

/** CRC32C of pages that stand one behind the other, from theirs, or from some of them; 0 of none. */
export function joinChecksums(pages: Uint32Array, first = 0, end = pages.length): number {
  let sum = first < end ? (pages[first] as number) : 0;
  for (let page = first + 1; page < end; page += 1) {
    const low = (SHIFTS[sum & 0xff] as number) ^ (SHIFTS[0x100 | ((sum >>> 8) & 0xff)] as number);
    const high = (SHIFTS[0x200 | ((sum >>> 16) & 0xff)] as number) ^ (SHIFTS[0x300 | (sum >>> 24)] as number);
    sum = low ^ high ^ (pages[page] as number);
  }
  return sum >>> 0;
}

/** The shift of a value is that of its lowest bit and that of the rest. */
function makeShifts(): Int32Array {
  const table = new Int32Array(4 * 256);
  for (let byte = 0; byte < 4; byte += 1) {
    for (let value = 1; value < 256; value += 1) {
      const bit = 31 - Math.clz32(value & -value);
      const rest = table[byte * 256 + (value & (value - 1))] as number;
      table[byte * 256 + value] = rest ^ (PAGE_SHIFT[byte * 8 + bit] as number);
    }
  }
  return table;
}
