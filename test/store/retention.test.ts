/** Which generations go: the decision alone. */
import { expect, test } from "vitest";
import type { Generation } from "../../src/store/generation.js";
import { expiredGenerations } from "../../src/store/retention.js";

function generations(...numbers: number[]): Generation[] {
  return numbers.map((number) => ({
    number,
    pid: 7,
    path: `/job/core.7.${number}`,
    takenMs: 0,
    sizeBytes: 1,
  }));
}

test.each([
  [[], 3, []],
  [[1, 2], 3, []],
  [[1, 2, 3, 4, 5], 3, [1, 2]],
  [[9, 2, 30], 1, [2, 9]],
  // The newest stays whatever the policy says.
  [[1, 2], 0, [1]],
])("of %j with the last %i kept, %j go", (numbers, keepLast, expired) => {
  expect(expiredGenerations(generations(...numbers), { keepLast }).map((one) => one.number)).toEqual(expired);
});

test("what a kept generation builds on stays, besides those that are counted", () => {
  const builds: Readonly<Record<number, readonly number[]>> = { 2: [1], 3: [2, 1], 5: [4], 6: [5, 4] };
  const ancestors = ({ number }: Generation) => (builds[number] ?? []).map((one) => `core.7.${one}`);
  const expired = (keepLast: number) =>
    expiredGenerations(generations(1, 2, 3, 4, 5, 6), { keepLast }, ancestors).map(({ number }) => number);
  expect(expired(2)).toEqual([1, 2, 3]);
  expect(expired(4)).toEqual([]);
});
