/** A plan that is made for practice leaves no trace, whatever the core it builds on is like. */
import { expect, test } from "vitest";
import { rehearseDelta } from "../../src/checkpoint/delta-rehearsal.js";
import { PageBase } from "../../src/checkpoint/page-base.js";

const PAGE = 4096;
const piece = (page: number, pages: number) => ({
  start: page * PAGE,
  end: (page + pages) * PAGE,
  level: 0,
  fileOffset: (page + 1) * PAGE,
  checksums: Uint32Array.from({ length: pages }, (_, at) => page + at),
});

test.each([
  ["no memory", []],
  ["little memory", [piece(1, 100)]],
  ["one large mapping", [piece(10, 200_000)]],
  ["many of all sizes", Array.from({ length: 600 }, (_, at) => piece(1000 * at, 1 + ((at * 37) % 999)))],
])("%s", (_what, pieces) => {
  const base = PageBase.of(pieces);
  const before = base.pieces;
  rehearseDelta(base);
  expect(base.pieces).toEqual(before);
  expect(before.reduce((sum, { start, end }) => sum + end - start, 0)).toBe(
    pieces.reduce((sum, { start, end }) => sum + end - start, 0),
  );
});
