/** Rates in, decision out: when a program that is copied while it runs is stopped, and for how long about. */
import { expect, test } from "vitest";
import {
  estimateStops,
  expectedBytes,
  leftSince,
  wantsLastRound,
  wantsRound,
} from "../../src/checkpoint/convergence.js";

const MIB = 1 << 20;
const round = (rounds: number, copiedMib: number, rates: { copyMs: number; dirtiedMs?: number }) => ({
  rounds,
  copiedBytes: copiedMib * MIB,
  copyMs: rates.copyMs,
  dirtiedBytes: rounds === 1 ? 0 : copiedMib * MIB,
  dirtiedMs: rates.dirtiedMs ?? 0,
});

test.each([
  ["nothing is known after the first round", round(1, 2048, { copyMs: 1500 }), true],
  ["a tenth is left each time", round(2, 75, { copyMs: 150, dirtiedMs: 1500 }), true],
  ["little is left", round(3, 0.5, { copyMs: 1, dirtiedMs: 100 }), false],
  ["it writes as fast as it is copied", round(2, 1500, { copyMs: 1500, dirtiedMs: 1500 }), false],
  ["it writes a little slower than that", round(3, 1000, { copyMs: 800, dirtiedMs: 1000 }), false],
  ["there were many rounds", round(12, 100, { copyMs: 1, dirtiedMs: 1000 }), false],
  ["a small program", round(1, 1, { copyMs: 1 }), false],
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
  expect(
    wantsLastRound(
      copiedMib.map((mib) => mib * MIB),
      3 * MIB,
    ),
  ).toBe(wants);
});

test("no round right before the stop where little is expected to be left, by the rate of the last one", () => {
  const last = round(2, 4, { copyMs: 8, dirtiedMs: 80 });
  expect(wantsLastRound([], leftSince(last, 8))).toBe(false);
  expect(wantsLastRound([], leftSince(last, 40))).toBe(true);
  expect(wantsLastRound([], leftSince(round(1, 4, { copyMs: 8 }), 1))).toBe(true);
});

test("what the next round would find grows with the time this one took", () => {
  expect(expectedBytes(round(1, 2048, { copyMs: 1500 }))).toBe(0);
  expect(expectedBytes(round(2, 75, { copyMs: 150, dirtiedMs: 1500 }))).toBe(7.5 * MIB);
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
