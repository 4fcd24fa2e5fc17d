/** ELF notes both ways, and with sizes that lie. */
import { describe, expect, test } from "vitest";
import type { ByteSource } from "../../src/core/byte-source.js";
import { encodeNote, readNotes } from "../../src/core/note.js";
import { errorOf } from "./error-of.js";

/** Notes of one segment that starts at offset 100 of its file. */
function read(bytes: Buffer) {
  const source: ByteSource = { path: "x", sizeBytes: 100 + bytes.length, read: () => bytes };
  const segment = {
    kind: "note",
    prot: "r--",
    offset: 100,
    address: 0n,
    fileBytes: bytes.length,
    memoryBytes: 0,
  } as const;
  return readNotes(source, [segment]);
}

describe("encodeNote and readNotes", () => {
  test.each([0, 1, 2, 3, 4, 5])("agree for a body of %i bytes", (length) => {
    const note = { owner: "RECORE", type: 13, desc: Buffer.alloc(length, 9) };
    const other = { owner: "CORE", type: 1, desc: Buffer.from("next") };
    const bytes = Buffer.concat([encodeNote(note), encodeNote(other)]);
    expect(bytes.length % 4).toBe(0);
    expect(read(bytes)).toEqual([
      { ...note, descOffset: 100 + 12 + 8 },
      { ...other, descOffset: 100 + bytes.length - 4 },
    ]);
  });

  test("take a body in parts for the whole of it", () => {
    const parts = [Buffer.from("{"), "letters", Buffer.alloc(0), Buffer.from("}")];
    const whole = encodeNote({ owner: "RECORE", type: 13, desc: Buffer.from("{letters}") });
    expect(encodeNote({ owner: "RECORE", type: 13, desc: parts })).toEqual(whole);
  });

  test("take a missing filling at the end, as gdb leaves it", () => {
    const bytes = encodeNote({ owner: "CORE", type: 1, desc: Buffer.from("abcde") });
    expect(read(bytes.subarray(0, bytes.length - 3))[0]?.desc.toString()).toBe("abcde");
  });

  test.each([
    ["a body past the end", 4, 0x7fffffff],
    ["a name past the end", 0, 0xfffffff0],
  ])("refuse %s", (_name, at, value) => {
    const bytes = encodeNote({ owner: "CORE", type: 1, desc: Buffer.from("abcd") });
    bytes.writeUInt32LE(value, at);
    expect(errorOf(() => read(bytes))).toMatchObject({
      code: "BAD_CORE",
      message: expect.stringContaining("offset 100"),
    });
  });

  test("refuse a note cut in its header", () => {
    const bytes = encodeNote({ owner: "CORE", type: 1, desc: Buffer.from("abcd") });
    expect(errorOf(() => read(Buffer.concat([bytes, bytes.subarray(0, 8)])))).toMatchObject({
      code: "BAD_CORE",
    });
  });
});
