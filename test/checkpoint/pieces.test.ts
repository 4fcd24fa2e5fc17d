/** A first round goes over all memory in pieces that touch, and takes no huge page apart. */
import { describe, expect, test } from "vitest";
import { cut, piecesAmong, piecesOf } from "../../src/checkpoint/pieces.js";
import { USER_END } from "../../src/state/address.js";
import { randomNumbers } from "../harness/random.js";

const MIB = 1 << 20;
const END = Number(USER_END);

function span(start: number, end: number) {
  return { start: start * MIB, end: end * MIB };
}

test("little memory is one piece, and none is one, too", () => {
  expect(cut([span(10, 11)], { pieceBytes: 4 * MIB, alignBytes: 2 * MIB })).toEqual([
    { within: { start: 0, end: END }, spans: [span(10, 11)] },
  ]);
  expect(cut([], { pieceBytes: MIB, alignBytes: MIB })).toEqual([
    { within: { start: 0, end: END }, spans: [] },
  ]);
});

test("a long span is cut at multiples only, the first one behind a whole piece", () => {
  const pieces = cut([span(1, 12)], { pieceBytes: 4 * MIB, alignBytes: 2 * MIB });
  expect(pieces.flatMap(({ spans }) => spans)).toEqual([span(1, 6), span(6, 10), span(10, 12)]);
  expect(pieces.map(({ within }) => within)).toEqual([
    { start: 0, end: 6 * MIB },
    span(6, 10),
    { start: 10 * MIB, end: END },
  ]);
});

test("what lies between two spans belongs to the piece before, up to a multiple", () => {
  const pieces = cut([span(1, 5), span(9, 10)], { pieceBytes: 4 * MIB, alignBytes: 2 * MIB });
  expect(pieces.map(({ within }) => within)).toEqual([
    { start: 0, end: 8 * MIB },
    { start: 8 * MIB, end: END },
  ]);
});

test("no page of hugetlbfs is taken apart", () => {
  const vma = { hugePageBytes: 1 << 30 };
  const pieces = piecesOf([vma, {}] as never, [span(1024, 4096)]);
  expect(pieces.map(({ spans }) => spans)).toEqual([
    [span(1024, 2048)],
    [span(2048, 3072)],
    [span(3072, 4096)],
  ]);
});

test("memory of which little is copied is looked at in four parts, small memory in one", () => {
  const vmas = [{}] as never;
  const stood = [span(0, 1024), span(4096, 5120)];
  const forced = [span(500, 600), span(5000, 5200)];
  expect(piecesAmong(vmas, stood, forced)).toEqual([
    { within: span(0, 512), spans: [span(500, 512)] },
    { within: span(512, 4096), spans: [span(512, 600)] },
    { within: span(4096, 4608), spans: [] },
    { within: { start: 4608 * MIB, end: END }, spans: [span(5000, 5200)] },
  ]);
  const all = { start: 0, end: END };
  expect(piecesAmong(vmas, [span(0, 255)], forced)).toEqual([{ within: all, spans: forced }]);
  expect(piecesAmong(vmas, [], [])).toEqual([{ within: all, spans: [] }]);
});

describe("any spans", () => {
  const below = randomNumbers(7);
  test.each(Array.from({ length: 50 }, (_, index) => [index]))("%i", () => {
    const spans = [];
    for (let at = below(64), count = below(40); count > 0; count -= 1) {
      const start = at + below(20) + 1;
      at = start + below(30) + 1;
      spans.push({ start: start * 4096, end: at * 4096 });
    }
    const alignBytes = 8 * 4096;
    const pieces = cut(spans, { pieceBytes: (1 + below(40)) * 4096, alignBytes });
    expect(pieces[0]?.within.start).toBe(0);
    expect(pieces.at(-1)?.within.end).toBe(END);
    for (const [index, { within, spans: inside }] of pieces.entries()) {
      if (index > 0) expect(within.start).toBe(pieces[index - 1]?.within.end);
      expect(within.start % alignBytes).toBe(0);
      for (const { start, end } of inside) {
        expect(start).toBeGreaterThanOrEqual(within.start);
        expect(end).toBeLessThanOrEqual(within.end);
      }
    }
    const pagesIn = (all: readonly { start: number; end: number }[]) =>
      all.flatMap(({ start, end }) =>
        Array.from({ length: (end - start) / 4096 }, (_, page) => start + page * 4096),
      );
    expect(pagesIn(pieces.flatMap((piece) => piece.spans))).toEqual(pagesIn(spans));
  });
});
