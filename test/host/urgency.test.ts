/** Coming first while a program stands still, and as before afterwards. */
import { constants, getPriority } from "node:os";
import { expect, test } from "vitest";
import { collectGarbage, Urgency } from "../../src/host/urgency.js";

test("raises the priority where that is permitted, until the end", () => {
  const before = getPriority(0);
  {
    using urgency = Urgency.begin();
    const isPermitted = process.geteuid?.() === 0;
    if (isPermitted) expect(getPriority(0)).toBe(constants.priority.PRIORITY_HIGHEST);
    urgency.end();
    expect(getPriority(0)).toBe(before);
  }
  expect(getPriority(0)).toBe(before);
});

test("collects garbage, and leaves nothing of how in our own context", () => {
  const had = "gc" in globalThis;
  collectGarbage();
  collectGarbage();
  expect("gc" in globalThis).toBe(had);
});
