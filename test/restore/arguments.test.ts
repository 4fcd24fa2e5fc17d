/** Arguments of remote calls: where each will stand, and the bytes that are written there. */
import { expect, test } from "vitest";
import { Arguments } from "../../src/restore/arguments.js";

test("every argument has its address, aligned to 16 bytes, and the buffer holds them there", () => {
  const args = new Arguments(0x1000n);
  const at = {
    text: args.text("zähler"),
    words: args.words(1n, -1n, 2n ** 64n + 5n),
    bytes: args.put(Buffer.from([1, 2, 3])),
    empty: args.put(Buffer.alloc(0)),
    last: args.text(""),
  };
  expect(at).toEqual({ text: 0x1000n, words: 0x1010n, bytes: 0x1030n, empty: 0x1040n, last: 0x1040n });
  const bytes = args.bytes();
  const from = (address: bigint, length: number) =>
    bytes.subarray(Number(address - 0x1000n), Number(address - 0x1000n) + length);
  expect(from(at.text, 7)).toEqual(Buffer.from([0x7a, 0xe4, 0x68, 0x6c, 0x65, 0x72, 0]));
  expect([0, 8, 16].map((offset) => from(at.words, 24).readBigUInt64LE(offset))).toEqual([
    1n,
    2n ** 64n - 1n,
    5n,
  ]);
  expect(from(at.bytes, 16)).toEqual(Buffer.from([1, 2, 3, ...Array(13).fill(0)]));
  expect(bytes).toHaveLength(0x50);
});
