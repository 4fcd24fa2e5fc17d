/** Coming first while a program stands still, and as before afterwards. */
import { existsSync, readdirSync } from "node:fs";
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

test("keeps CPUs awake where that can be asked for, and no descriptor behind the end", () => {
  const held = () => readdirSync("/proc/self/fd").length;
  const before = held();
  const isAsked = process.geteuid?.() === 0 && existsSync("/dev/cpu_dma_latency");
  {
    using urgency = Urgency.begin();
    expect(held()).toBe(before + (isAsked ? 1 : 0));
    urgency.end();
    expect(held()).toBe(before);
  }
  expect(held()).toBe(before);
});

test("collects garbage, and leaves nothing of how in our own context", () => {
  const had = "gc" in globalThis;
  collectGarbage();
  collectGarbage();
  expect("gc" in globalThis).toBe(had);
});
