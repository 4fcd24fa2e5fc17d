/** Checksums of pages make that of their run, as if its bytes had been read. */
import { randomBytes } from "node:crypto";
import { expect, test } from "vitest";
import { crc32c } from "../../src/core/crc32c.js";
import { PAGE_BYTES } from "../../src/state/address.js";
import { joinChecksums } from "../../src/state/page-checksums.js";

test.each([0, 1, 2, 7])("%i pages", (count) => {
  const bytes = randomBytes(count * PAGE_BYTES);
  const pages = Array.from({ length: count }, (_, page) =>
    crc32c(bytes.subarray(page * PAGE_BYTES, (page + 1) * PAGE_BYTES)),
  );
  expect(joinChecksums(Uint32Array.from(pages))).toBe(crc32c(bytes));
});

test("each bit of the checksum of one page is shifted by another", () => {
  const checksums = Array.from({ length: 32 }, (_, bit) => (1 << bit) >>> 0);
  const zeros = crc32c(Buffer.alloc(PAGE_BYTES));
  for (const checksum of checksums) {
    const shifted = joinChecksums(Uint32Array.of(checksum, zeros));
    expect(shifted).toBe(crc32c(Buffer.alloc(PAGE_BYTES), checksum));
  }
});
