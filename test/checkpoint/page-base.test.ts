/** Where pages stand in earlier cores: pure arithmetic on spans. */
import { expect, test } from "vitest";
import { CopyGap } from "../../src/checkpoint/copy-gap.js";
import { planMemory } from "../../src/checkpoint/core-plan.js";
import { PageBase } from "../../src/checkpoint/page-base.js";
import { PlaceBook } from "../../src/checkpoint/places.js";
import { joinChecksums } from "../../src/state/page-checksums.js";
import { decodeRunTable, type RunTable } from "../../src/state/run-table.js";
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

test("has the pieces in order, those that were one as one, and without what is taken away", () => {
  const base = PageBase.of([piece(10, 5, 1), piece(5, 5), piece(0, 3), piece(3, 2)]);
  expect(base.pieces).toEqual([piece(0, 10), piece(10, 5, 1)]);
  const less = base.without([span(2, 1), span(8, 4), span(14, 9)]);
  expect(less.pieces).toEqual([piece(0, 2), piece(3, 5), piece(12, 2, 1)]);
  expect(base.pieces).toEqual([piece(0, 10), piece(10, 5, 1)]);
});

test("takes over what is asked for of another one, and nothing else", () => {
  const base = PageBase.over([span(2, 3), span(8, 4), span(20, 2)]);
  base.inherit(PageBase.of([piece(0, 10), piece(10, 1, 1)]));
  expect(base.pieces).toEqual([piece(2, 3), piece(8, 2), piece(10, 1, 1)]);
  expect(() => base.runs()).toThrow("0xb000");
});

const plan = (book: PlaceBook, base: PageBase, levels = 3) => {
  const stored = [{ address: 0n, lengthBytes: 600 * PAGE, sameAsFile: false }];
  return planMemory(book, { vmas: [vma(0n, 600)], stored }, { base, levels });
};

test("what was copied is in the core, what was not is inherited in runs, its parent first", () => {
  const book = new PlaceBook(PAGE);
  book.cover([span(2, 3)]);
  book.note([span(2, 3)], SUMS.subarray(100, 103));
  const { runs, delta, pages, bytes } = plan(book, PageBase.of([piece(0, 599), piece(599, 1, 2)]));
  expect([pages, bytes]).toEqual([3, 3 * PAGE]);
  expect(rowsOf(runs as RunTable)).toEqual([row(2, 3, { place: 1, tag: 0, crc32c: sum(100, 103) })]);
  expect(rowsOf(delta?.inherited)).toEqual([
    row(0, 2, { place: 1, tag: 2, crc32c: sum(0, 2) }),
    row(5, 256, { place: 6, tag: 2, crc32c: sum(5, 261) }),
    row(261, 256, { place: 262, tag: 2, crc32c: sum(261, 517) }),
    row(517, 82, { place: 518, tag: 2, crc32c: sum(517, 599) }),
    row(599, 1, { place: 600, tag: 0, crc32c: sum(599, 600) }),
  ]);
  const own = { ...piece(2, 3, 3), fileOffset: PAGE, checksums: SUMS.subarray(100, 103) };
  expect(delta?.base.pieces).toEqual([piece(0, 2), own, piece(5, 594), piece(599, 1, 2)]);
});

test("what is neither in the core nor in an earlier one is a gap, and so is what has a place and no copy", () => {
  const book = new PlaceBook(PAGE);
  expect(() => plan(book, PageBase.of([piece(0, 599)]))).toThrow(CopyGap);
  book.cover([span(599, 1)]);
  expect(() => plan(book, PageBase.of([piece(0, 599)]))).toThrow(CopyGap);
  book.note([span(599, 1)], SUMS.subarray(0, 1));
  expect(plan(book, PageBase.of([piece(0, 599)])).pages).toBe(1);
});

test("a core that has all pages itself builds on no other", () => {
  const book = new PlaceBook(PAGE);
  book.cover([span(0, 600)]);
  book.note([span(0, 600)], SUMS);
  const { runs, delta } = plan(book, PageBase.of([piece(0, 600)]));
  expect([delta, runs.constructor.name]).toEqual([null, "Array"]);
});

function sum(from: number, to: number): number {
  return joinChecksums(SUMS.subarray(from, to));
}

function row(page: number, pages: number, of: { place: number; tag: number; crc32c: number }) {
  const { place, ...rest } = of;
  return { address: BigInt(page * PAGE), lengthBytes: pages * PAGE, fileOffset: place * PAGE, ...rest };
}

function rowsOf(table: RunTable | undefined) {
  return decodeRunTable(table?.encode() ?? Buffer.alloc(0), (address, of) => ({ address, ...of }));
}
