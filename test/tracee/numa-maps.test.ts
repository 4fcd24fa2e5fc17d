/** Lines of numa_maps: every policy the kernel prints. */
import { expect, test } from "vitest";
import { parseNumaMaps } from "../../src/tracee/numa-maps.js";

function policyOf(text: string) {
  return parseNumaMaps(`7f0000000000 ${text}\n`).get(0x7f00_0000_0000n);
}

const words = (...values: readonly bigint[]) => {
  const mask = Buffer.alloc(values.length * 8);
  values.forEach((value, index) => {
    mask.writeBigUInt64LE(value, index * 8);
  });
  return mask;
};

test.each([
  ["bind:0-1 anon=1 dirty=1 N0=1", 2, words(3n)],
  ["prefer:3", 1, words(8n)],
  ["interleave=static:0,2-3,64 file=/x", 3 | (1 << 15), words(13n, 1n)],
  ["bind=relative|balancing:1", 2 | (1 << 14) | (1 << 13), words(2n)],
  ["local", 4, words()],
  ["prefer (many):0 stack", 5, words(1n)],
  ["weighted interleave:0", 6, words(1n)],
])("%s", (text, mode, nodes) => {
  expect(policyOf(text)).toEqual({ mode, nodes });
});

test.each(["default anon=2 N0=2 kernelpagesize_kB=4", "later kind:0"])("nothing of %s", (text) => {
  expect(policyOf(text)).toBeUndefined();
});
