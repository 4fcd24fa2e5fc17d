/** What a host must have for the mappings of a program: huge pages, and names of memory. */
import { describe, expect, it } from "vitest";
import { checkHugePages } from "../../src/restore/check-huge-pages.js";
import { lostNames } from "../../src/restore/memory-attributes.js";
import type { Vma } from "../../src/state/vma.js";
import { parseSmaps } from "../../src/tracee/maps.js";
import { failure } from "./failure.js";

const MIB = 2 ** 20;

function huge(bytes: number, pages: number): Vma[] {
  const start = 2n ** 40n;
  const end = start + BigInt(pages * bytes);
  const range = `${start.toString(16)}-${end.toString(16)}`;
  const header = `${range} rw-p 00000000 00:10 7 /anon_hugepage (deleted)`;
  return parseSmaps(`${header}\nKernelPageSize: ${bytes / 1024} kB\nVmFlags: rd wr ht \n`);
}

describe("checkHugePages()", () => {
  const vmas = [...huge(2 * MIB, 3), ...huge(1024 * MIB, 1), ...huge(2 * MIB, 2)];

  it("is content with enough of each size", () => {
    checkHugePages(vmas, () => 5);
    checkHugePages([], () => 0);
  });

  it("adds up each size and names the one that is short", () => {
    const refused = failure(() => checkHugePages(vmas, (bytes) => (bytes === 2 * MIB ? 4 : 1)));
    expect(refused.code).toBe("LIMIT_TOO_LOW");
    expect(refused.message).toMatch(/5 huge pages of 2048 KiB, 4 are free here/);
    expect(refused.hint).toMatch(/hugepages-2048kB\/nr_hugepages \(1 more/);
  });
});

describe("lostNames()", () => {
  const names = ["[anon:a]", "[anon_shmem:b c]", "[heap]"];
  const vmas = names.flatMap((name, at) =>
    parseSmaps(`${at + 1}0000000-${at + 1}0001000 rw-p 00000000 00:00 0 ${name}`),
  );

  it("tells which names a kernel cannot give", () => {
    expect(lostNames(vmas, () => true)).toEqual([]);
    expect(lostNames(vmas.slice(2), () => false)).toEqual([]);
    expect(lostNames(vmas, () => false)).toMatchObject([
      { kind: "mapping", message: expect.stringMatching(/\[anon:a\], \[anon_shmem:b c\].*ANON_VMA_NAME/) },
    ]);
  });
});
