/** Which mappings of an object show it in the core, and what is left to be copied. */
import { describe, expect, test } from "vitest";
import { aliasesOf, gaps, showsObject } from "../../src/checkpoint/object-contents.js";
import { vma } from "../core/sample-core.js";

const MEMFD = { kind: "shared-file", path: "/memfd:x", deleted: true, dev: "00:01", ino: 5n } as const;

describe("showsObject", () => {
  const whole = vma(0x10_0000n, 8, MEMFD);
  const part = vma(0x20_0000n, 2, { ...MEMFD, offset: 0x2000n });
  const rest = vma(0x30_0000n, 2, { ...MEMFD, offset: 0x8000n });
  const segment = vma(0x40_0000n, 8, { ...MEMFD, path: "/SYSV00000000" });
  const own = vma(0x50_0000n, 8, { ...MEMFD, kind: "file" });
  const named = vma(0x60_0000n, 8, { ...MEMFD, path: "/dev/shm/x", deleted: false });
  const vmas = [whole, part, rest, segment, own, named];

  test("the first shared mapping of each part does, and a segment whose id is an inode", () => {
    expect(aliasesOf(vmas)).toEqual([{ vma: part, shownBy: whole }]);
    expect(vmas.map((one) => showsObject(one, vmas))).toEqual([true, false, true, true, false, false]);
  });
});

test("gaps are what no span covers", () => {
  expect(gaps([], 10)).toEqual([{ start: 0, end: 10 }]);
  expect(gaps([{ start: 0, end: 12 }], 10)).toEqual([]);
  const spans = [
    { start: 2, end: 4 },
    { start: 3, end: 6 },
    { start: 8, end: 9 },
  ];
  expect(gaps(spans, 10)).toEqual([
    { start: 0, end: 2 },
    { start: 6, end: 8 },
    { start: 9, end: 10 },
  ]);
  expect(gaps([{ start: 8, end: 16 }], 4)).toEqual([{ start: 0, end: 4 }]);
});
