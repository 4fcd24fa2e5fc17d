/** Places of pages in the core over several rounds: fixed, last copy wins, what is gone in the end is told. */
import { describe, expect, test } from "vitest";
import { PlaceBook } from "../../src/checkpoint/places.js";
import { joinChecksums } from "../../src/state/page-checksums.js";
import { GONE_CHECKSUM } from "../../src/tracee/memory.js";
import type { Span } from "../../src/tracee/range-list.js";

const PAGE = 4096;
const span = (first: number, end: number): Span => ({ start: first * PAGE, end: end * PAGE });
/** Address, length and place of the ranges of a list, in pages. */
const rangesOf = (book: PlaceBook, spans: Span[], from?: (span: Span) => number) => {
  const packed = book.ranges(spans, from).packed;
  return Array.from({ length: packed.length / 24 }, (_, index) =>
    [0, 8, 16].map((at) => Number(packed.readBigUInt64LE(index * 24 + at)) / PAGE),
  );
};

describe("PlaceBook", () => {
  test("a page keeps its place, a new one stands behind all others", () => {
    const book = new PlaceBook(PAGE);
    book.cover([span(10, 14), span(20, 22)]);
    book.cover([span(8, 11), span(13, 21)]);
    expect(rangesOf(book, [span(8, 22)])).toEqual([
      [8, 2, 7],
      [10, 4, 1],
      [14, 6, 9],
      [20, 2, 5],
    ]);
    expect(book.endOffset).toBe(15 * PAGE);
    book.skipTo(17 * PAGE);
    book.cover([span(30, 31)]);
    expect(book.placed(span(30, 31))).toEqual([{ ...span(30, 31), fileOffset: 17 * PAGE }]);
    expect(() => book.skipTo(PAGE)).toThrow(RangeError);
  });

  test("ranges are taken from elsewhere when they were stashed", () => {
    const book = new PlaceBook(PAGE);
    book.cover([span(10, 12)]);
    expect(rangesOf(book, [span(10, 12)], () => 5 * PAGE)).toEqual([[5, 2, 1]]);
  });

  test("the last checksum of a page counts, and a page that was never copied has none", () => {
    const book = new PlaceBook(PAGE);
    book.cover([span(10, 14)]);
    book.note([span(10, 13)], Uint32Array.from([1, 2, 3]));
    book.note([span(11, 12)], Uint32Array.from([7]));
    expect(book.checksum(span(10, 13))).toBe(joinChecksums(Uint32Array.from([1, 7, 3])));
    expect(() => book.checksum(span(10, 14))).toThrow(/was never copied/);
    expect(() => book.checksum(span(13, 15))).toThrow(/no place of their own/);
  });

  test("what could not be read is asked for again, and zero pages are counted", () => {
    const book = new PlaceBook(PAGE);
    book.cover([span(10, 14)]);
    book.note([span(10, 14)], Uint32Array.from([1, GONE_CHECKSUM, GONE_CHECKSUM, 0x98f9_4189]));
    expect(book.gone()).toEqual([span(11, 13)]);
    expect(book.zeroPages([span(10, 14)])).toBe(1);
  });

  test("copies of pages that are gone in the end are left over, by their place in the file", () => {
    const book = new PlaceBook(PAGE);
    book.cover([span(10, 14), span(20, 22)]);
    book.note([span(10, 13), span(20, 22)], Uint32Array.from([1, 2, 3, 4, 5]));
    expect(book.leftovers([span(11, 12), span(20, 21)])).toEqual([span(1, 2), span(3, 4), span(6, 7)]);
  });

  test("dropped pages have no place any more, the others keep theirs and their checksums", () => {
    const book = new PlaceBook(PAGE);
    book.cover([span(10, 14), span(20, 22)]);
    book.note([span(10, 14), span(20, 22)], Uint32Array.from([1, 2, 3, 4, 5, 6]));
    book.drop([span(19, 21), span(13, 14), span(11, 12)]);
    expect(book.placed(span(8, 30))).toEqual([
      { ...span(10, 11), fileOffset: PAGE },
      { ...span(12, 13), fileOffset: 3 * PAGE },
      { ...span(21, 22), fileOffset: 6 * PAGE },
    ]);
    expect([...book.checksums(span(12, 13))]).toEqual([3]);
    expect([...book.checksums(span(21, 22))]).toEqual([6]);
  });
});
