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
