/** CRC32C against its published check value and against the native library. */
import { openSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { crc32c } from "../../src/core/crc32c.js";
import { crc32cRanges } from "../../src/tracee/native.js";
import { randomNumbers } from "../harness/random.js";
import { withFolder } from "./sample-core.js";

test("crc32c gives the check value of RFC 3720, and 0 for nothing", () => {
  expect(crc32c(Buffer.from("123456789"))).toBe(0xe3069283);
  expect(crc32c(Buffer.alloc(32))).toBe(0x8a9136aa);
  expect(crc32c(Buffer.alloc(0))).toBe(0);
});

test("crc32c continues over parts", () => {
  const bytes = Buffer.from("some bytes in three parts");
  expect(crc32c(bytes.subarray(11), crc32c(bytes.subarray(5, 11), crc32c(bytes.subarray(0, 5))))).toBe(
    crc32c(bytes),
  );
});

test("crc32c is the same wherever in memory the bytes begin, and byte by byte", () => {
  const random = randomNumbers(3);
  const bytes = Buffer.from(Array.from({ length: 64 }, () => random(256)));
  for (let from = 0; from < 9; from += 1) {
    for (let length = 0; length < 40; length += 1) {
      const part = bytes.subarray(from, from + length);
      const one = [...part].reduce((sum, byte) => crc32c(Uint8Array.of(byte), sum), 0);
      expect(crc32c(part), `${from} ${length}`).toBe(one);
    }
  }
});

test("the native library takes much at a time and comes to the same, wherever it begins and ends", () =>
  withFolder((folder) => {
    const random = randomNumbers(11);
    const bytes = Buffer.from(Array.from({ length: 20_000 }, () => random(256)));
    writeFileSync(join(folder, "data"), bytes);
    const fd = openSync(join(folder, "data"), "r");
    const lengths = [255, 256, 257, 511, 512, 1023, 4096, 8191, 12_288, 16_000];
    const ranges = lengths.flatMap((lengthBytes) =>
      [0, 3, 64].map((fileOffset) => ({ fileOffset, lengthBytes })),
    );
    expect(crc32cRanges(fd, ranges)).toEqual(
      ranges.map(({ fileOffset, lengthBytes }) =>
        crc32c(bytes.subarray(fileOffset, fileOffset + lengthBytes)),
      ),
    );
  }));

test("crc32c agrees with the native library", () =>
  withFolder((folder) => {
    const bytes = Buffer.from(Array.from({ length: 10_000 }, (_, index) => (index * 31) & 0xff));
    writeFileSync(join(folder, "data"), bytes);
    const fd = openSync(join(folder, "data"), "r");
    const ranges = [0, 1, 4096].map((fileOffset) => ({ fileOffset, lengthBytes: 5_000 }));
    expect(crc32cRanges(fd, ranges)).toEqual(
      ranges.map(({ fileOffset }) => crc32c(bytes.subarray(fileOffset, fileOffset + 5_000))),
    );
  }));
