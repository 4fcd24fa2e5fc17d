/**
 * CRC32C of a run of pages from the checksums of its pages: what stands still is summed up once, and a page that is
 * copied again changes its own checksum only. A checksum is linear: appending a page shifts the sum so far by the
 * length of a page, whatever the page holds (the same step as zlib's crc32_combine).
 */
import { PAGE_BYTES } from "./address.js";

/** The polynomial 0x1EDC6F41 with its bits reversed. */
const POLYNOMIAL = 0x82f63b78;

/** The shift by one page of each value of each byte of a checksum. */
const SHIFTS = makeShifts();

/** CRC32C of pages that stand one behind the other, from theirs, or from some of them; 0 of none. */
export function joinChecksums(pages: Uint32Array, first = 0, end = pages.length): number {
  let sum = 0;
  for (let page = first; page < end; page += 1) sum = (shift(sum) ^ (pages[page] as number)) >>> 0;
  return sum;
}

function shift(sum: number): number {
  let shifted = 0;
  for (let byte = 0; byte < 4; byte += 1) {
    shifted ^= (SHIFTS[byte] as Uint32Array)[(sum >>> (byte * 8)) & 0xff] as number;
  }
  return shifted;
}

function makeShifts(): Uint32Array[] {
  const bits = shiftByPage();
  return Array.from({ length: 4 }, (_, byte) =>
    Uint32Array.from({ length: 256 }, (_, value) => {
      let shifted = 0;
      for (let bit = 0; bit < 8; bit += 1) if ((value >> bit) & 1) shifted ^= bits[byte * 8 + bit] as number;
      return shifted >>> 0;
    }),
  );
}

/** What each bit of a checksum becomes by a page: the shift by one bit, doubled until it is that of a page. */
function shiftByPage(): Uint32Array {
  let shifts = Uint32Array.from({ length: 32 }, (_, bit) => (bit === 0 ? POLYNOMIAL : 1 << (bit - 1)));
  for (let bits = 1; bits < PAGE_BYTES * 8; bits *= 2) {
    const once = shifts;
    shifts = once.map((sum) => applyShift(once, sum));
  }
  return shifts;
}

function applyShift(shifts: Uint32Array, sum: number): number {
  let shifted = 0;
  for (let bit = 0; bit < 32; bit += 1) if ((sum >>> bit) & 1) shifted ^= shifts[bit] as number;
  return shifted >>> 0;
}
