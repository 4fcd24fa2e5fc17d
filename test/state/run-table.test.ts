/** Runs as a table of bytes: what goes in comes out, and bytes that are no table are refused. */
import { expect, test } from "vitest";
import { pagesSchema } from "../../src/state/pages.js";
import { decodeRunTable, RunTable } from "../../src/state/run-table.js";
import { randomNumbers } from "../harness/random.js";

const PAGE = 4096;
const rowsOf = (bytes: Buffer) => decodeRunTable(bytes, (address, row) => ({ address, ...row }));

test("what goes in comes out, as far away as it may be", () => {
  const random = randomNumbers(7);
  for (const spread of [1, 2 ** 10, 2 ** 24]) {
    const table = new RunTable();
    let at = 0;
    const expected = Array.from({ length: 600 }, () => {
      const [gap, pages, place] = [random(spread), 1 + random(256), random(spread * 2 ** 8)];
      const address = (at + gap) * PAGE;
      at += gap + pages;
      const [crc32c, tag] = [random(2 ** 32), random(2 ** 16)];
      const given = { lengthBytes: pages * PAGE, fileOffset: place * PAGE, crc32c, tag };
      table.add(address, given);
      return { address: BigInt(address), ...given };
    });
    expect(rowsOf(table.encode())).toEqual(expected);
    expect(table.totalBytes).toBe(expected.reduce((sum, { lengthBytes }) => sum + lengthBytes, 0));
  }
});

test("there is room for runs by the ten thousands, also where none was made", () => {
  const random = randomNumbers(5);
  const tables = [new RunTable(), new RunTable(1), new RunTable(30_000)];
  for (let row = 0, at = 0; row < 30_000; row += 1) {
    at += random(3) * PAGE;
    const run = {
      lengthBytes: PAGE,
      fileOffset: random(2 ** 20) * PAGE,
      crc32c: random(2 ** 32),
      tag: row % 5,
    };
    for (const table of tables) table.add(at, run);
    at += PAGE;
  }
  const [first, ...others] = tables.map((table) => table.encode());
  for (const other of others) expect(other.equals(first ?? other)).toBe(true);
  expect(tables.map(({ count, totalBytes }) => [count, totalBytes])).toEqual(
    Array(3).fill([30_000, 30_000 * PAGE]),
  );
  expect(rowsOf(first ?? Buffer.alloc(0))).toHaveLength(30_000);
});

test("bytes that are no table are refused", () => {
  const table = new RunTable();
  table.add(2 ** 46, { lengthBytes: PAGE, fileOffset: PAGE, crc32c: 1, tag: 300 });
  const whole = table.encode();
  expect(rowsOf(whole)).toHaveLength(1);
  for (let length = 1; length < whole.length; length += 1)
    expect(rowsOf(whole.subarray(0, length))).toBeNull();
  const [noPages, beforeTheFile, endless] = [
    [0, 0, 2, 0, 1, 2, 3, 4],
    [1, 1, 1, 0, 1, 2, 3, 4],
    [...Array(9).fill(255)],
  ];
  for (const bytes of [noPages, beforeTheFile, endless]) expect(rowsOf(Buffer.from(bytes))).toBeNull();
});

test("a note has rows or a table", () => {
  const messageOf = (body: unknown) => pagesSchema.safeParse(body).error?.issues[0]?.message;
  const row = ["0x1000", PAGE, PAGE, 7, 1];
  const run = { address: 0x1000n, lengthBytes: PAGE, fileOffset: PAGE, crc32c: 7, sameAsFile: true };
  expect(pagesSchema.parse({ runs: [row] }).runs).toEqual([run]);
  const table = new RunTable();
  table.add(0x1000, { ...run, tag: 1 });
  expect(pagesSchema.parse({ table: table.encode().toString("base64") }).runs).toEqual([run]);
  expect(messageOf({})).toBe("either runs or a table of them");
  expect(messageOf({ runs: [row], table: "" })).toBe("either runs or a table of them");
  expect(messageOf({ runs: [[1]] })).toBe("no run of pages");
  expect(messageOf({ table: "AAAA" })).toBe("no table of runs");
});
