/** Files that are no good core: always a CrError that says what is wrong and what to do, never another exception. */
import { execFileSync } from "node:child_process";
import { closeSync, mkdirSync, openSync, readFileSync, truncateSync, writeSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { encodeCoreHeader, encodeProgramHeaders, type Segment } from "../../src/core/elf.js";
import { decodeForeign } from "../../src/core/foreign.js";
import { readState } from "../../src/core/read-state.js";
import { openCore } from "../../src/core/reader.js";
import { CrError } from "../../src/errors.js";
import { errorOf } from "./error-of.js";
import { flipped, withFolder, writeCore, writeSample } from "./sample-core.js";

/** Opens and decodes the file as a core; what is thrown must be a CrError with message and hint. */
function failureAt(path: string): CrError | null {
  try {
    using core = openCore(path);
    readState(core);
    return null;
  } catch (error) {
    if (!(error instanceof CrError)) throw error;
    expect(error.message).toMatch(/^read core .+: .+[^.]$/);
    expect(error.hint).toBeTruthy();
    return error;
  }
}

function failureOf(folder: string, bytes: Buffer): CrError | null {
  return failureAt(writeCore(folder, bytes));
}

interface Sample {
  readonly path: string;
  readonly bytes: Buffer;
  /** Start of the notes, behind which all is headers. */
  readonly tailOffset: number;
  /** Where a header, a note or a segment begins or ends. */
  readonly marks: readonly number[];
}

/** Runs `act` on the sample core. */
function withSample(act: (sample: Sample) => void): Promise<void> {
  return withFolder((folder) => {
    const path = join(folder, "core");
    writeSample(path);
    using core = openCore(path);
    const bytes = readFileSync(path);
    const segments = core.segments.flatMap(({ offset, fileBytes }) => [offset, offset + fileBytes]);
    const notes = core.notes.flatMap(({ descOffset, desc }) => [
      descOffset - 20,
      descOffset,
      descOffset + desc.length,
    ]);
    const headers = core.segments.map((_, index) => core.header.phoff + index * 56);
    const marks = [0, 1, 4, 16, 63, 64, 4095, 4096, ...segments, ...notes, ...headers, bytes.length - 1];
    act({ path, bytes, tailOffset: core.segments[0]?.offset ?? 0, marks: [...new Set(marks)] });
  });
}

/** A core of another tool with these segments and no notes. */
function coreOf(segments: readonly Partial<Segment>[]): Buffer {
  const full = segments.map((segment): Segment => {
    return {
      kind: "load",
      prot: "rw-",
      offset: 0,
      address: 0x1000n,
      fileBytes: 0,
      memoryBytes: 4096,
      ...segment,
    };
  });
  return Buffer.concat([encodeCoreHeader(64, full.length), encodeProgramHeaders(full), Buffer.alloc(8192)]);
}

describe("openCore refuses", () => {
  const cases: readonly (readonly [string, Buffer, string])[] = [
    ["an empty file", Buffer.alloc(0), "empty"],
    ["a text", Buffer.from("no core\n".repeat(100)), "ELF"],
    ["a program", readFileSync("/bin/true"), "type dyn"],
    ["a 32-bit core", flipped(flipped(coreOf([{}]), 4, 0), 4, 1), "32-bit"],
    ["a big-endian core", flipped(flipped(coreOf([{}]), 5, 0), 5, 1), "big-endian"],
    ["a core for another machine", flipped(coreOf([{}]), 18, 7), "machine"],
    ["a core without segments", coreOf([]), "no segments"],
    ["overlapping segments", coreOf([{}, { address: 0x1000n }]), "apart"],
    ["unsorted segments", coreOf([{ address: 0x5000n }, {}]), "order"],
    ["a segment in the kernel's half", coreOf([{ address: 0xffff_8000_0000_0000n }]), "kernel"],
    [
      "a segment across the end of user space",
      coreOf([{ address: 0x7fff_ffff_e000n, memoryBytes: 8192 }]),
      "kernel",
    ],
    ["half a page", coreOf([{ memoryBytes: 100 }]), "whole pages"],
    ["more bytes in the file than in memory", coreOf([{ fileBytes: 4097 }]), "more bytes"],
    ["a note past the end of notes", coreOf([{ kind: "note", offset: 8, fileBytes: 64 }]), "claims"],
  ];
  test.each(cases)("%s", (_name, bytes, says) =>
    withFolder((folder) => {
      const error = failureOf(folder, bytes);
      expect(error?.code).toBe("BAD_CORE");
      expect(error?.message).toContain(says);
    }),
  );

  test("segments past the end of the file", () =>
    withFolder((folder) => {
      for (const segment of [
        { offset: 1 << 30, fileBytes: 1 },
        { fileBytes: 4096, offset: 2 ** 60 },
      ]) {
        expect(failureOf(folder, coreOf([segment]))?.code).toBe("CORE_TRUNCATED");
      }
      const many = coreOf([{}]);
      many.writeUInt16LE(0xfffe, 56);
      expect(failureOf(folder, many)?.code).toBe("CORE_TRUNCATED");
    }));

  test("an absurd number of segments or bytes of notes without reading them", () =>
    withFolder((folder) => {
      const path = writeCore(folder, coreOf([{ kind: "note", fileBytes: 2 ** 40 }]));
      truncateSync(path, 2 ** 41);
      expect(errorOf(() => openCore(path))).toMatchObject({
        code: "BAD_CORE",
        message: expect.stringContaining("notes"),
      });
      const bytes = coreOf([{}]);
      bytes.writeUInt16LE(0xffff, 56);
      bytes.writeBigUInt64LE(4096n, 40);
      bytes.writeUInt32LE(0xffff_fff0, 4096 + 44);
      expect(failureOf(folder, bytes)?.message).toContain("4294967280 segments");
    }));

  test("what is no file, without waiting for one", () =>
    withFolder((folder) => {
      expect(errorOf(() => openCore(join(folder, "none")))).toMatchObject({ code: "CORE_UNREADABLE" });
      mkdirSync(join(folder, "folder"));
      expect(errorOf(() => openCore(join(folder, "folder"))).message).toContain("a folder");
      execFileSync("mkfifo", [join(folder, "fifo")]);
      expect(errorOf(() => openCore(join(folder, "fifo"))).message).toContain("a FIFO");
      expect(errorOf(() => openCore("/dev/null")).message).toContain("a device");
    }));
});

describe("a core of ours", () => {
  test("cut at any boundary of its headers, notes and segments is refused", () =>
    withSample(({ path, bytes, marks }) => {
      expect(marks.length).toBeGreaterThan(60);
      const cuts = marks.flatMap((mark) => [mark, mark + 1]).filter((cut) => cut < bytes.length);
      for (const cut of cuts.sort((a, b) => b - a)) {
        truncateSync(path, cut);
        expect(failureAt(path)?.code, `cut at ${cut}`).toMatch(/^(BAD_CORE|CORE_TRUNCATED|CORE_CORRUPT)$/);
      }
    }));

  test("with a flipped bit in any byte of its headers and notes is refused", { timeout: 180_000 }, () =>
    withSample(({ path, bytes, tailOffset }) => {
      const fd = openSync(path, "r+");
      const inFirstPage = [...Array(64).keys(), 64, 1000, 4095];
      const places = [...inFirstPage, ...Array.from(bytes.subarray(tailOffset), (_, at) => tailOffset + at)];
      for (const at of places) {
        const bit = at % 8;
        writeSync(fd, flipped(bytes.subarray(at, at + 1), 0, bit), 0, 1, at);
        expect(failureAt(path), `byte ${at}, bit ${bit}`).not.toBeNull();
        writeSync(fd, bytes, at, 1, at);
      }
      closeSync(fd);
      expect(failureAt(path)).toBeNull();
    }),
  );
});

test("decodeForeign says which notes a core lacks", () =>
  withFolder((folder) => {
    const path = writeCore(folder, coreOf([{}]));
    using core = openCore(path);
    expect(core.origin).toBe("other");
    expect(errorOf(() => decodeForeign(core))).toMatchObject({
      code: "FOREIGN_CORE",
      message: expect.stringContaining("NT_PRSTATUS, NT_PRPSINFO, NT_AUXV, NT_FILE"),
    });
  }));
