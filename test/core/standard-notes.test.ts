/** The layouts of the standard notes, both ways. */
import { describe, expect, test } from "vitest";
import { decodeNtFile, encodeNtFile } from "../../src/core/nt-file.js";
import { decodePrpsinfo, encodePrpsinfo, PRPSINFO_BYTES } from "../../src/core/prpsinfo.js";
import { decodePrstatus, encodePrstatus, PRSTATUS_BYTES } from "../../src/core/prstatus.js";
import { errorOf } from "./error-of.js";

test("NT_PRSTATUS comes back as it was written", () => {
  const status = {
    tid: 4_194_303,
    ppid: 1,
    pgid: 2,
    sid: 3,
    signal: 11,
    sigpend: 0x8000_0000_0000_0000n,
    sighold: 5n,
    registers: Buffer.from(Array.from({ length: 216 }, (_, index) => index)),
  };
  const desc = encodePrstatus(status);
  expect(desc).toHaveLength(PRSTATUS_BYTES);
  expect(decodePrstatus(desc)).toEqual(status);
});

test("NT_PRPSINFO comes back as it was written, with long names cut", () => {
  const info = {
    nice: -20,
    uid: 4_294_967_294,
    gid: 7,
    pid: 9,
    ppid: 1,
    pgid: 9,
    sid: 9,
    comm: "prog",
    args: "prog -x",
  };
  const desc = encodePrpsinfo(info);
  expect(desc).toHaveLength(PRPSINFO_BYTES);
  expect(decodePrpsinfo(desc)).toEqual(info);
  const long = decodePrpsinfo(encodePrpsinfo({ ...info, comm: "c".repeat(40), args: "a".repeat(200) }));
  expect([long.comm.length, long.args.length]).toEqual([15, 79]);
});

describe("NT_FILE", () => {
  const files = [
    { start: 0x1000n, end: 0x3000n, offset: 0n, path: "/bin/true", deleted: false },
    { start: 0x3000n, end: 0x4000n, offset: 0x7000n, path: "/tmp/ä b", deleted: true },
  ];

  test("comes back as it was written", () => {
    expect(decodeNtFile(encodeNtFile(files), "x")).toEqual(files);
    expect(decodeNtFile(encodeNtFile([]), "x")).toEqual([]);
  });

  test.each([
    ["a count past its end", (desc: Buffer) => desc.writeBigUInt64LE(1n << 60n, 0)],
    ["an empty range", (desc: Buffer) => desc.writeBigUInt64LE(0x1000n, 24)],
    ["overlapping ranges", (desc: Buffer) => desc.writeBigUInt64LE(0x2000n, 40)],
    ["a range in the kernel's half", (desc: Buffer) => desc.writeBigUInt64LE(0xffff_8000_0000_0000n, 48)],
    ["half a page", (desc: Buffer) => desc.writeBigUInt64LE(0x3800n, 48)],
    ["absurd pages", (desc: Buffer) => desc.writeBigUInt64LE(1n << 40n, 8)],
    ["a name without end", (desc: Buffer) => desc.fill(65, 64)],
  ])("is refused with %s", (_name, change) => {
    const desc = encodeNtFile(files);
    change(desc);
    expect(errorOf(() => decodeNtFile(desc, "x"))).toMatchObject({
      code: "BAD_CORE",
      message: expect.stringContaining("NT_FILE"),
    });
  });
});
