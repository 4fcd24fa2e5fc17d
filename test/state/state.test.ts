/** The nouns of a process: registers by name, page arithmetic, and notes that come back as they were written. */
import { describe, expect, test } from "vitest";
import { hex, pageDown, pageUp } from "../../src/state/address.js";
import { credentialsSchema } from "../../src/state/credentials.js";
import { filesSchema } from "../../src/state/fd.js";
import { kernelObjectSchema } from "../../src/state/kernel-object.js";
import { encodeNoteJson } from "../../src/state/note-json.js";
import { pagesSchema } from "../../src/state/pages.js";
import { hostSchema, limitsSchema } from "../../src/state/process.js";
import { getRegister, REGISTER_NAMES, REGISTERS_BYTES, withRegisters } from "../../src/state/registers.js";
import { bytes, u64 } from "../../src/state/schema.js";
import { signalsSchema } from "../../src/state/signal.js";
import { timersSchema } from "../../src/state/timer.js";
import { vmasSchema } from "../../src/state/vma.js";

const MAX = 2n ** 64n - 1n;

describe("registers", () => {
  test("stand in the order of struct user_regs_struct", () => {
    const registers = Buffer.alloc(REGISTERS_BYTES);
    for (const [index] of REGISTER_NAMES.entries()) registers.writeBigUInt64LE(BigInt(index + 1), index * 8);
    // Offsets of sys/user.h.
    for (const [name, at] of [
      ["r15", 0],
      ["rbp", 32],
      ["rax", 80],
      ["orig_rax", 120],
      ["rip", 128],
      ["rsp", 152],
      ["fs_base", 168],
      ["gs", 208],
    ] as const) {
      expect(getRegister(registers, name), name).toBe(BigInt(at / 8 + 1));
    }
  });

  test("are changed in a copy, modulo 2^64", () => {
    const registers = Buffer.alloc(REGISTERS_BYTES);
    const changed = withRegisters(registers, { rax: -514n, rip: 2n ** 64n + 5n });
    expect(getRegister(changed, "rax")).toBe(MAX - 513n);
    expect(getRegister(changed, "rip")).toBe(5n);
    expect(registers.every((byte) => byte === 0)).toBe(true);
  });
});

test("pages are rounded down and up, and addresses written in hex", () => {
  expect([0n, 1n, 4095n, 4096n, 4097n].map(pageDown)).toEqual([0n, 0n, 0n, 4096n, 4096n]);
  expect([0n, 1n, 4095n, 4096n, 4097n].map(pageUp)).toEqual([0n, 4096n, 4096n, 4096n, 8192n]);
  expect([0n, MAX].map(hex)).toEqual(["0x0", "0xffffffffffffffff"]);
});

/** Through the JSON of a note and back. */
function throughNote(value: unknown): unknown {
  return JSON.parse(encodeNoteJson(value).toString("utf8"));
}

describe("notes", () => {
  test("write 64-bit numbers as hex and bytes as base64, at any depth", () => {
    const value = { a: 0n, b: [MAX, { c: Buffer.from([0, 255, 1]) }], d: "é", e: null, f: Buffer.alloc(0) };
    expect(throughNote(value)).toEqual({ a: "0x0", b: [hex(MAX), { c: "AP8B" }], d: "é", e: null, f: "" });
  });

  test("read back what they wrote", () => {
    const cases = [
      [u64, MAX],
      [bytes, Buffer.from([0, 255, 1])],
      [bytes, Buffer.alloc(0)],
      [timersSchema, { itimers: [{ which: 2, valueUs: 0n, intervalUs: MAX }], posix: [] }],
      [limitsSchema, [{ resource: 7, soft: 1024n, hard: MAX }]],
      [
        signalsSchema,
        {
          actions: [{ signal: 64, handler: MAX, flags: 1n, restorer: 0n, mask: MAX }],
          pending: [Buffer.alloc(128, 3)],
        },
      ],
      [filesSchema, { descriptions: [], descriptors: [{ fd: 1023, description: 0, cloexec: true }] }],
      [
        vmasSchema,
        [
          {
            start: 1n,
            end: MAX,
            prot: "rw-s",
            offset: MAX,
            path: "/a\rb\u2028",
            deleted: true,
            dev: "fe:00",
            ino: MAX,
            flags: ["rd"],
            kind: "shared-file",
            file: { sizeBytes: 2 ** 52, mtimeNs: MAX, buildId: null },
            guards: [[1n, 2n]],
          },
        ],
      ],
    ] as const;
    for (const [schema, value] of cases) expect(schema.parse(throughNote(value))).toEqual(value);
  });

  test("read runs from their compact rows", () => {
    const rows = {
      runs: [
        ["0x1000", 4096, 8192, 4_294_967_295, 1],
        ["0x7ffffffff000", 4096, 12_288, 0, 0],
      ],
    };
    expect(pagesSchema.parse(rows)).toEqual({
      runs: [
        { address: 0x1000n, lengthBytes: 4096, fileOffset: 8192, crc32c: 4_294_967_295, sameAsFile: true },
        { address: 0x7fff_ffff_f000n, lengthBytes: 4096, fileOffset: 12_288, crc32c: 0, sameAsFile: false },
      ],
    });
  });

  test.each([
    [u64, "0x"],
    [u64, "0x10000000000000000"],
    [u64, "0xG"],
    [u64, "-0x1"],
    [u64, "12"],
    [u64, 12],
    [bytes, "not base64!"],
    [vmasSchema, [{ prot: "rwx" }]],
    [
      signalsSchema,
      { actions: [{ signal: 65, handler: "0x0", flags: "0x0", restorer: "0x0", mask: "0x0" }], pending: [] },
    ],
    [timersSchema, { itimers: [{ which: 3, valueUs: "0x0", intervalUs: "0x0" }] }],
    [filesSchema, { descriptions: [], descriptors: [{ fd: -1, description: 0, cloexec: false }] }],
    [credentialsSchema, {}],
    [hostSchema, null],
  ])("refuse what is not theirs (%#)", (schema, value) => {
    expect(schema.safeParse(value).success).toBe(false);
  });
});

test("a socket of an older core has nothing but what it tells", () => {
  const elder = {
    kind: "socket",
    family: 1,
    type: 1,
    protocol: 0,
    peer: "0x5",
    shutdown: 0,
    local: "",
    remote: "",
  };
  const found = kernelObjectSchema.parse({ ...elder, file: null, backlog: null, options: [] });
  const since = {
    peerClosed: false,
    peerReset: false,
    peerUser: null,
    pending: null,
    tcp: null,
    queue: null,
  };
  expect(found).toMatchObject({ ...since, peer: 5n });
});
