/** What several members hold is stored by the first: spans of shared memory, contents, files. */
import { describe, expect, it } from "vitest";
import { StoredOnce, without } from "../../src/checkpoint/stored-once.js";
import type { Vma } from "../../src/state/vma.js";

const span = (start: number, end: number) => ({ start: BigInt(start) * 4096n, end: BigInt(end) * 4096n });

describe("without", () => {
  it.each([
    [span(0, 8), [], [span(0, 8)]],
    [span(0, 8), [span(0, 8)], []],
    [span(0, 8), [span(2, 4)], [span(0, 2), span(4, 8)]],
    [span(2, 8), [span(0, 3), span(5, 6), span(7, 20)], [span(3, 5), span(6, 7)]],
    [span(4, 8), [span(0, 4), span(8, 9)], [span(4, 8)]],
  ])("leaves what no other has", (whole, others, left) => {
    expect(without(whole, others)).toEqual(left);
  });

  it("takes whole pages only", () => {
    expect(() => without({ start: 0n, end: 100n }, [])).toThrow(RangeError);
  });
});

describe("StoredOnce", () => {
  const vma = (start: number, pages: number, offset = 0): Vma => ({
    ...{ start: BigInt(start) * 4096n, end: BigInt(start + pages) * 4096n, offset: BigInt(offset) * 4096n },
    ...{
      prot: "rw-s",
      path: "/dev/zero",
      deleted: true,
      dev: "00:01",
      ino: 7n,
      flags: [],
      file: null,
      guards: [],
    },
    kind: "shared-anonymous",
  });
  const range = (start: number, pages: number) => {
    return { address: BigInt(start) * 4096n, lengthBytes: pages * 4096, sameAsFile: false };
  };

  it("gives a page of shared memory to the first member that maps it, wherever it maps it", () => {
    const once = new StoredOnce(["00:01 7"]);
    expect(once.unstored([vma(100, 8)], [range(102, 2), range(106, 1)])).toEqual([
      range(102, 2),
      range(106, 1),
    ]);
    expect(once.unstored([vma(500, 8)], [range(500, 8)])).toEqual([
      range(500, 2),
      range(504, 2),
      range(507, 1),
    ]);
    expect(once.unstored([vma(900, 2, 6)], [range(900, 2)])).toEqual([]);
    expect(once.unstored([vma(900, 2, 8)], [range(901, 1)])).toEqual([range(901, 1)]);
  });

  it("leaves other memory alone", () => {
    const once = new StoredOnce(["00:01 9"]);
    const own: Vma = { ...vma(100, 8), kind: "anonymous", dev: "00:00", ino: 0n };
    for (const vmas of [[vma(100, 8)], [own]]) {
      expect(once.unstored(vmas, [range(100, 8)])).toEqual([range(100, 8)]);
      expect(once.unstored(vmas, [range(100, 8)])).toEqual([range(100, 8)]);
    }
  });
});
