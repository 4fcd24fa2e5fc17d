/** Rates in, decision out: when a program that is copied while it runs is stopped, and for how long about. */
import { expect, test } from "vitest";
import { estimateStops, leftSince, wantsLastRound, wantsRound } from "../../src/checkpoint/convergence.js";

const MIB = 1 << 20;
const round = (rounds: number, copiedMib: number, leftMib: number) => ({
  rounds,
  copiedBytes: copiedMib * MIB,
  leftBytes: leftMib * MIB,
  leftMs: 10,
});

test.each([
  ["a tenth is left each time", round(1, 2048, 200), true],
  ["half of little more than little is left", round(2, 10, 5), true],
  ["little is left", round(1, 2048, 3), false],
  ["it writes as fast as it is copied", round(1, 2048, 2048), false],
  ["it writes a little slower than that", round(2, 1000, 800), false],
  ["there were many rounds", round(12, 100, 10), false],
  ["nothing was there", round(1, 0, 0), false],
])("another round when %s: %o is %s", (_what, rates, wants) => {
  expect(wantsRound(rates)).toBe(wants);
});

test.each([
  ["none was made yet and much is left", [], true],
  ["much was left for the last one", [10], true],
  ["it leaves less and less", [10, 3], true],
  ["little was left", [0.5], false],
  ["it writes as fast as it is copied", [10, 9], false],
  ["there were three", [100, 30, 10], false],
])("another round right before the stop when %s: %o is %s", (_what, copiedMib, wants) => {
  const copied = copiedMib.map((mib) => mib * MIB);
  expect(wantsLastRound(copied, { leftBytes: 10 * MIB, allBytes: 2048 * MIB, tookMs: 1500 })).toBe(wants);
});

test.each([
  ["behind a long copy", { leftBytes: MIB, allBytes: 2048 * MIB, tookMs: 1500 }, true],
  [
    "behind a long copy, of next to nothing",
    { leftBytes: MIB / 5, allBytes: 2048 * MIB, tookMs: 1500 },
    false,
  ],
  [
    "behind a short copy, which it would make longer",
    { leftBytes: 3 * MIB, allBytes: 2048 * MIB, tookMs: 80 },
    false,
  ],
  ["behind a short copy of a small program", { leftBytes: 3 * MIB, allBytes: 64 * MIB, tookMs: 80 }, true],
  ["of what would stop it for long", { leftBytes: 8 * MIB, allBytes: 2048 * MIB, tookMs: 80 }, true],
])("a round right before the stop %s: %o is %s", (_what, left, wants) => {
  expect(wantsLastRound([], left)).toBe(wants);
});

test("what is left grows with the time since a round, and is never less than what was seen", () => {
  expect(leftSince(round(2, 10, 4), 10)).toBe(4 * MIB);
  expect(leftSince(round(2, 10, 4), 25)).toBe(10 * MIB);
  expect(leftSince(round(2, 10, 4), 0)).toBe(4 * MIB);
  expect(leftSince(round(2, 10, 0), 100)).toBe(0);
});

test("a program that is quiet is stopped shortest live, one that writes flat out from a copy, a small one at once", () => {
  const quiet = estimateStops({ leftBytes: MIB, allBytes: 2048 * MIB });
  expect(quiet.live).toBeLessThan(quiet.fork);
  const busy = estimateStops({ leftBytes: 1500 * MIB, allBytes: 2048 * MIB });
  expect(busy.fork).toBeLessThan(busy.live);
  expect(busy.fork).toBeLessThan(busy.stop / 10);
  const small = estimateStops({ leftBytes: 4 * MIB, allBytes: 4 * MIB });
  expect(small.stop).toBeLessThan(small.fork);
});
