/** The picture of memory that `cr inspect` draws. */
import { expect, test } from "vitest";
import { charsetOf, memoryPicture } from "../../src/cli/memory-picture.js";

const range = { start: 0x10_0000n, end: 0x10_0000n + 32n * 4096n };
const part = (page: number, pages: number) => ({
  address: range.start + BigInt(page * 4096),
  lengthBytes: pages * 4096,
});

test("memoryPicture shows where in a mapping the stored bytes are", () => {
  expect(memoryPicture(range, [], "unicode")).toBe(" ".repeat(32));
  expect(memoryPicture(range, [part(0, 32)], "unicode")).toBe("█".repeat(32));
  expect(memoryPicture(range, [part(1, 2), part(31, 1)], "ascii")).toBe(` ##${" ".repeat(28)}#`);
});

test("memoryPicture shades cells that are stored in part, however small the part", () => {
  const large = { start: 0n, end: 32n * 4096n * 100n };
  const cells = [
    { address: 0n, lengthBytes: 4096 },
    { address: 409_600n, lengthBytes: 50 * 4096 },
    { address: 819_200n, lengthBytes: 75 * 4096 },
  ];
  expect(memoryPicture(large, cells, "unicode").trimEnd()).toBe("░▒▓");
});

test("memoryPicture takes a mapping of fewer pages than cells", () => {
  const small = { start: 0n, end: 8192n };
  expect(memoryPicture(small, [{ address: 4096n, lengthBytes: 4096 }], "ascii")).toBe(
    " ".repeat(16) + "#".repeat(16),
  );
});

test("charsetOf reads the locale as programs do", () => {
  expect(charsetOf({ LANG: "de_DE.UTF-8" })).toBe("unicode");
  expect(charsetOf({ LANG: "de_DE.UTF-8", LC_ALL: "C" })).toBe("ascii");
  expect(charsetOf({})).toBe("ascii");
});
