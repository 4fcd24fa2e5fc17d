/** Where pages stand in earlier cores: pure arithmetic on spans. */
import { expect, test } from "vitest";
import { CopyGap } from "../../src/checkpoint/copied-memory.js";
import { planMemory } from "../../src/checkpoint/core-plan.js";
import { inheritedRuns, PageBase } from "../../src/checkpoint/page-base.js";
import { PlaceBook } from "../../src/checkpoint/places.js";
import { joinChecksums } from "../../src/state/page-checksums.js";
import { vma } from "../core/sample-core.js";

const PAGE = 4096;
const SUMS = Uint32Array.from({ length: 600 }, (_, page) => page + 1);
const piece = (page: number, pages: number, level = 0) => ({
  start: page * PAGE,
  end: (page + pages) * PAGE,
  level,
  fileOffset: (page + 1) * PAGE,
  checksums: SUMS.subarray(page, page + pages),
});
const span = (page: number, pages: number) => ({ start: page * PAGE, end: (page + pages) * PAGE });

test("finds the places of a span in the pieces, and knows what it does not have", () => {
  const base = new PageBase([piece(10, 5, 1), piece(0, 10)]);
  expect(base.within(span(8, 4))).toEqual([piece(8, 2), piece(10, 2, 1)]);
  expect(() => base.within(span(14, 2))).toThrow(CopyGap);
  expect(() => base.within(span(20, 1))).toThrow(CopyGap);
});

test("is without the pages that are taken away", () => {
  const base = new PageBase([piece(0, 10), piece(10, 5, 1)]).without([span(2, 1), span(8, 4), span(14, 9)]);
  expect(base.pieces).toEqual([piece(0, 2), piece(3, 5), piece(12, 2, 1)]);
  expect(() => base.within(span(2, 1))).toThrow(CopyGap);
});

test("pieces that were one are one again", () => {
  const base = new PageBase([piece(0, 3), piece(5, 5), piece(3, 2)]);
  expect(base.within(span(0, 10))).toEqual([piece(0, 10)]);
});

test("a core tells what it inherits in runs, each with its checksum, its parent first", () => {
  const runs = inheritedRuns([piece(0, 300), piece(300, 1, 2)], 3);
  expect(runs).toEqual([
    { address: 0n, lengthBytes: 256 * PAGE, ancestor: 2, fileOffset: PAGE, crc32c: sum(0, 256) },
    {
      address: 0x10_0000n,
      lengthBytes: 44 * PAGE,
      ancestor: 2,
      fileOffset: 257 * PAGE,
      crc32c: sum(256, 300),
    },
    { address: 0x12_c000n, lengthBytes: PAGE, ancestor: 0, fileOffset: 301 * PAGE, crc32c: sum(300, 301) },
  ]);
});

test("what was copied is in the core, what was not is inherited, and what is neither is a gap", () => {
  const book = new PlaceBook(PAGE);
  book.cover([span(2, 3)]);
  book.note([span(2, 3)], SUMS.subarray(100, 103));
  const stored = [{ address: 0n, lengthBytes: 10 * PAGE, sameAsFile: false }];
  const plan = (base: PageBase) => planMemory(book, { vmas: [vma(0n, 10)], stored, base });
  const { runs, inherited } = plan(new PageBase([piece(0, 10)]));
  expect(runs).toMatchObject([{ address: 0x2000n, lengthBytes: 3 * PAGE, crc32c: sum(100, 103) }]);
  expect(inherited).toEqual([piece(0, 2), piece(5, 5)]);
  expect(() => plan(new PageBase([piece(0, 9)]))).toThrow(CopyGap);
});

function sum(from: number, to: number): number {
  return joinChecksums(SUMS.subarray(from, to));
}
