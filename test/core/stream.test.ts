/** The wire form of a core: what a header says comes back, and an altered header is none. */
import { expect, test } from "vitest";
import {
  decodeHeader,
  decodePreamble,
  PREAMBLE_BYTES,
  RECORD_HEADER_BYTES,
  STREAM_VERSION,
  StreamEncoder,
} from "../../src/core/stream.js";
import { flipped } from "./sample-core.js";

const RECORD = { fileOffset: 2 ** 41 + 4096, lengthBytes: 1 << 20, crc32c: 0xdead_beef };

test("a preamble tells the version, and is told from other files", () => {
  const preamble = new StreamEncoder().preamble();
  expect(preamble).toHaveLength(PREAMBLE_BYTES);
  expect(decodePreamble(preamble)).toBe(STREAM_VERSION);
  expect(decodePreamble(Buffer.from("\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0", "latin1"))).toBeNull();
});

test("records and the trailer come back as they were", () => {
  const encoder = new StreamEncoder();
  const header = encoder.data(RECORD);
  expect(header).toHaveLength(RECORD_HEADER_BYTES);
  expect(decodeHeader(header)).toEqual({ kind: "data", ...RECORD });
  expect(decodeHeader(encoder.end(5_000))).toMatchObject({ kind: "end", sizeBytes: 5_000 });
});

test("a trailer is that of its records in their order", () => {
  const trailerOf = (offsets: readonly number[]) => {
    const encoder = new StreamEncoder();
    for (const fileOffset of offsets) encoder.data({ ...RECORD, fileOffset });
    return decodeHeader(encoder.end(1));
  };
  const trailers = [[], [0], [0, 4096], [4096, 0], [0, 0]].map(trailerOf);
  expect(new Set(trailers.map((trailer) => JSON.stringify(trailer))).size).toBe(5);
});

test("a header with any bit flipped is none", () => {
  const header = new StreamEncoder().data(RECORD);
  for (let bit = 0; bit < RECORD_HEADER_BYTES * 8; bit += 1) {
    expect(decodeHeader(flipped(header, bit >> 3, bit & 7)), `bit ${bit}`).toBeNull();
  }
});
