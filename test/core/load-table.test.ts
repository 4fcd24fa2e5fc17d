/** Program headers made from columns of numbers are those that are made from objects. */
import { expect, test } from "vitest";
import { encodeProgramHeaders } from "../../src/core/elf.js";
import { planCore, type StoredRange } from "../../src/core/layout.js";
import { planLoads } from "../../src/core/load-table.js";
import { RunTable } from "../../src/state/run-table.js";
import { randomNumbers } from "../harness/random.js";
import { vma } from "./sample-core.js";

const PAGE = 4096;

test("shows what a plan of objects shows, but for the places of what has no bytes", () => {
  const random = randomNumbers(11);
  for (let round = 0; round < 200; round += 1) {
    const [a = 0, b = 0, c = 0] = [random(36), random(36), random(36)]
      .map((one) => one + 2)
      .sort((x, y) => x - y);
    const at = (page: number) => BigInt(0x7f00_0000_0000 + page * PAGE);
    const vmas = [
      vma(at(0), a, { prot: "rw-p" }),
      vma(at(a), b - a, { kind: "file", path: "/x", prot: "r-xp" }),
      vma(at(b), c - b, { prot: "---p" }),
      vma(at(c), 40 - c, { kind: "shared-file", path: "/y" }),
    ].filter(({ start, end }) => end > start);
    const runs = new RunTable();
    const stored: StoredRange[] = [];
    for (let page = 0; page < 40; page += 1) {
      const kind = random(4);
      if (kind === 0) continue;
      // Places next to one another, apart, or out of order.
      const fileOffset = (kind === 3 ? 200 - page : kind === 2 ? 2 * page + 50 : page + 1) * PAGE;
      runs.add(Number(at(page)), { lengthBytes: PAGE, fileOffset, crc32c: 0, tag: 0 });
      stored.push({ address: at(page), lengthBytes: PAGE, sameAsFile: false, fileOffset });
    }
    const expected = encodeProgramHeaders(planCore(vmas, stored).segments);
    expect(comparable(planLoads(vmas, runs, []).bytes)).toEqual(comparable(expected));
  }
});

test("a run that is not inside a mapping is a mistake of ours", () => {
  const runs = new RunTable();
  runs.add(0x3000, { lengthBytes: 2 * PAGE, fileOffset: PAGE, crc32c: 0, tag: 0 });
  expect(() => planLoads([vma(0x1000n, 3)], runs, [])).toThrow(RangeError);
  expect(() => planLoads([vma(0x1000n, 2)], runs, [])).toThrow(RangeError);
  expect(planLoads([vma(0x1000n, 4)], runs, []).count).toBe(2);
});

/** The headers as numbers, without the place of what has no bytes in the file. */
function comparable(bytes: Buffer): bigint[][] {
  const words = (at: number) => [0, 8, 16, 24, 32, 40, 48].map((word) => bytes.readBigUInt64LE(at + word));
  return Array.from({ length: bytes.length / 56 }, (_, index) => words(index * 56)).map((header) =>
    header[4] === 0n ? header.toSpliced(1, 1) : header,
  );
}
