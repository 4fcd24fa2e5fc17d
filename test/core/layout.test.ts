/** Where the pages of a core go, and the segments that tell debuggers. */
import { describe, expect, test } from "vitest";
import { planCore } from "../../src/core/layout.js";
import { PAGE_BYTES, RUN_BYTES_MAX } from "../../src/state/address.js";
import { SAMPLE_STORED, SAMPLE_VMAS, vma } from "./sample-core.js";

const pages = (count: number) => count * PAGE_BYTES;
const stored = (address: bigint, count: number) => ({
  address,
  lengthBytes: pages(count),
  sameAsFile: false,
});
/** Segments as [address, pages in memory, pages in the file, page of the file]. */
const shape = (plan: ReturnType<typeof planCore>) =>
  plan.segments.map(({ address, memoryBytes, fileBytes, offset }) => [
    address,
    memoryBytes / PAGE_BYTES,
    fileBytes / PAGE_BYTES,
    offset / PAGE_BYTES,
  ]);

describe("planCore", () => {
  test("gives dense places from the second page on, in runs of at most RUN_BYTES_MAX", () => {
    const plan = planCore(SAMPLE_VMAS, SAMPLE_STORED);
    expect(
      plan.runs.map(({ fileOffset, lengthBytes }) => [fileOffset / PAGE_BYTES, lengthBytes / PAGE_BYTES]),
    ).toEqual([
      [1, 1],
      [2, RUN_BYTES_MAX / PAGE_BYTES],
      [2 + RUN_BYTES_MAX / PAGE_BYTES, 300 - RUN_BYTES_MAX / PAGE_BYTES],
      [302, 2],
    ]);
    expect(plan.runs.map(({ sameAsFile }) => sameAsFile)).toEqual([true, false, false, false]);
    expect(plan.extraOffset).toBe(pages(304));
  });

  test("leaves the tail of anonymous memory to p_memsz, and the vsyscall page out", () => {
    expect(shape(planCore(SAMPLE_VMAS, SAMPLE_STORED))).toEqual([
      [0x40_0000n, 1, 1, 1],
      [0x40_1000n, 3, 0, 2],
      [0x60_0000n, 600, 300, 2],
      [0x7fff_0000_0000n, 6, 0, 302],
      [0x7fff_0000_6000n, 2, 2, 302],
    ]);
  });

  test("splits anonymous memory at gaps and mapped files exactly", () => {
    const ranges = [stored(0x1000n, 1), stored(0x4000n, 2)];
    expect(shape(planCore([vma(0x1000n, 8)], ranges))).toEqual([
      [0x1000n, 3, 1, 1],
      [0x4000n, 5, 2, 2],
    ]);
    const file = vma(0x1000n, 8, { kind: "file", path: "/x" });
    expect(shape(planCore([file], ranges))).toEqual([
      [0x1000n, 1, 1, 1],
      [0x2000n, 2, 0, 2],
      [0x4000n, 2, 2, 2],
      [0x6000n, 3, 0, 4],
    ]);
  });

  test("joins touching ranges in one segment, keeping their runs apart", () => {
    const ranges = [{ ...stored(0x1000n, 1), sameAsFile: true }, stored(0x2000n, 1)];
    const plan = planCore([vma(0x1000n, 2, { kind: "file", path: "/x" })], ranges);
    expect(shape(plan)).toEqual([[0x1000n, 2, 2, 1]]);
    expect(plan.runs).toHaveLength(2);
  });

  test("keeps places that were given before, and splits where they do not follow one another", () => {
    const ranges = [
      { ...stored(0x1000n, 2), fileOffset: pages(9) },
      { ...stored(0x3000n, 1), fileOffset: pages(3) },
      { ...stored(0x4000n, 1), fileOffset: pages(4) },
    ];
    const plan = planCore([vma(0x1000n, 8)], ranges);
    expect(shape(plan)).toEqual([
      [0x1000n, 2, 2, 9],
      [0x3000n, 6, 2, 3],
    ]);
    expect(plan.extraOffset).toBe(pages(11));
  });

  test("shows what has no content with its permissions and p_filesz 0", () => {
    const plan = planCore([vma(0x1000n, 8, { prot: "---p" })], []);
    expect(plan.segments).toEqual([
      {
        kind: "load",
        prot: "---",
        offset: PAGE_BYTES,
        address: 0x1000n,
        fileBytes: 0,
        memoryBytes: pages(8),
      },
    ]);
    expect(plan.runs).toEqual([]);
  });

  test.each([
    ["outside every VMA", [stored(0x9_0000n, 1)]],
    ["across the end of a VMA", [stored(0x8000n, 2)]],
    ["in no order", [stored(0x4000n, 1), stored(0x1000n, 1)]],
    ["on no page boundary", [{ ...stored(0x1000n, 1), lengthBytes: 100 }]],
  ])("throws RangeError for a range %s", (_name, ranges) => {
    expect(() => planCore([vma(0x1000n, 8)], ranges)).toThrow(RangeError);
  });
});
