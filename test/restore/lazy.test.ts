/** Which memory a lazy restore leaves in the core until it is touched, and which it fills in at once. */
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { openCore } from "../../src/core/reader.js";
import { divide, LazyMemory } from "../../src/restore/lazy.js";
import type { PageRun } from "../../src/state/pages.js";
import type { Vma } from "../../src/state/vma.js";
import { errorOf } from "../core/error-of.js";
import { withFolder, writeSample } from "../core/sample-core.js";

const BYTES = 0x10000n;

function vma(index: number, changes: Partial<Vma> = {}): Vma {
  const start = BigInt(index) * BYTES;
  return {
    ...{
      start,
      end: start + BYTES,
      prot: "rw-p",
      offset: 0n,
      path: "",
      deleted: false,
      dev: "00:00",
      ino: 0n,
    },
    ...{ flags: ["rd", "wr"], kind: "anonymous", file: null, guards: [] },
    ...changes,
  };
}

function run(index: number, changes: Partial<PageRun> = {}): PageRun {
  const address = BigInt(index) * BYTES + 0x1000n;
  return { address, lengthBytes: 0x2000, fileOffset: 0, crc32c: 0, sameAsFile: false, ...changes };
}

/** Of one mapping and a run in it: whether it waits. */
function waits(changes: Partial<Vma>): boolean {
  const { areas, later, now } = divide([vma(1, changes)], [run(1)]);
  expect(later.length + now.length).toBe(1);
  expect(areas).toHaveLength(later.length);
  return later.length === 1;
}

describe("what can wait", () => {
  test("is private anonymous memory", () => {
    expect(waits({})).toBe(true);
    expect(waits({ prot: "---p" })).toBe(true);
    expect(waits({ path: "[heap]" })).toBe(true);
    expect(waits({ kind: "shared-anonymous" })).toBe(false);
    expect(waits({ kind: "file" })).toBe(false);
    expect(waits({ kind: "shared-file" })).toBe(false);
  });

  test("is not locked, a stack, of huge pages, code, or what children do not get", () => {
    for (const flag of ["lo", "gd", "dc", "wf"])
      expect(waits({ flags: ["rd", "wr", flag] }), flag).toBe(false);
    expect(waits({ hugePageBytes: 2 << 20 })).toBe(false);
    expect(waits({ prot: "r-xp" })).toBe(false);
  });

  test("is watched only where something belongs, in order", () => {
    const vmas = [vma(1), vma(2), vma(3, { kind: "file" }), vma(4), vma(5)];
    const runs = [run(1), run(3), run(3, { sameAsFile: true }), run(5)];
    const { areas, later, now } = divide(vmas, runs);
    expect(areas.map(({ start }) => start / BYTES)).toEqual([1n, 5n]);
    expect(later).toEqual([runs[0], runs[3]]);
    expect(now).toEqual([runs[1], runs[2]]);
  });
});

test("more cores than the page server can hold are refused, those with nothing to bring not counted", () =>
  withFolder((folder) => {
    const path = join(folder, "core");
    writeSample(path);
    using core = openCore(path);
    const heritage = Array.from({ length: 16 }, (_, index) => ({
      core,
      runs: index < 15 ? [run(index)] : [],
    }));
    expect(new LazyMemory({ core, heritage }, path).failure()).toBeNull();
    const tooMany = heritage.map((one) => ({ ...one, runs: [run(1)] }));
    expect(errorOf(() => new LazyMemory({ core, heritage: tooMany }, path))).toMatchObject({
      code: "UNSUPPORTED_STATE",
      message: expect.stringMatching(/its memory stands in 16 earlier cores, at most 15 are possible$/),
      hint: expect.stringContaining("cr merge"),
    });
  }));
