/** Segments of mappings that show what another one shows, too. */
import { expect, test } from "vitest";
import { withAliases } from "../../src/core/alias-segments.js";
import { planCore } from "../../src/core/layout.js";
import { vma } from "./sample-core.js";

const SHARED = { kind: "shared-file", path: "/memfd:x", deleted: true } as const;
const PAGE = 4096;

test("an alias has the bytes of what it shows, with its own protection and place", () => {
  const whole = vma(0x10_0000n, 8, { ...SHARED, prot: "rw-s" });
  const part = vma(0x20_0000n, 3, { ...SHARED, prot: "r--s", offset: 0x1000n });
  const stored = [
    { address: 0x10_0000n, lengthBytes: 2 * PAGE, sameAsFile: false },
    { address: 0x10_3000n, lengthBytes: PAGE, sameAsFile: false },
  ];
  const { segments } = planCore([whole, part], stored);
  const found = withAliases(segments, [{ vma: part, shownBy: whole }]);
  const load = { kind: "load", prot: "r--" };
  expect(found.filter(({ address }) => address >= part.start)).toEqual([
    { ...load, address: 0x20_0000n, offset: 2 * PAGE, fileBytes: PAGE, memoryBytes: PAGE },
    { ...load, address: 0x20_1000n, offset: 3 * PAGE, fileBytes: 0, memoryBytes: PAGE },
    { ...load, address: 0x20_2000n, offset: 3 * PAGE, fileBytes: PAGE, memoryBytes: PAGE },
  ]);
  expect(found.filter(({ address }) => address < part.start)).toEqual(segments.slice(0, -1));
  expect(withAliases(segments, [])).toEqual(segments);
});
