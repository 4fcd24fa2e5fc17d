/** A whole core: what was written comes back, and other tools read it without complaint. */
import { execFile } from "node:child_process";
import { closeSync, openSync, readFileSync, statSync, truncateSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { describe, expect, test } from "vitest";
import { encodeNote } from "../../src/core/note.js";
import { readState } from "../../src/core/read-state.js";
import { openCore } from "../../src/core/reader.js";
import { decodeRecoreNotes } from "../../src/core/recore-decode.js";
import { encodeRecoreNote, encodeRecoreNotes, RECORE_NOTES } from "../../src/core/recore-notes.js";
import { writeCoreTail } from "../../src/core/writer.js";
import { encodeNoteJson } from "../../src/state/note-json.js";
import type { ProcessState } from "../../src/state/process.js";
import { errorOf } from "./error-of.js";
import { SAMPLE_VMAS, sampleState, vma, withFolder, writeSample } from "./sample-core.js";

const run = promisify(execFile);

describe("a core that was written", () => {
  test("comes back whole, with every noun", () =>
    withFolder((folder) => {
      const path = join(folder, "core");
      const written = writeSample(path);
      using core = openCore(path);
      expect(core.origin).toBe("recore");
      expect(readState(core)).toEqual(written);
    }));

  test("keeps the signal of a core that another tool began", () =>
    withFolder((folder) => {
      const path = join(folder, "core");
      const siginfo = Buffer.alloc(128);
      siginfo.writeInt32LE(11);
      writeSample(path, { siginfo });
      using core = openCore(path);
      expect(readState(core).siginfo).toEqual(siginfo);
    }));

  test("ends with its program headers and has its first page written last", () =>
    withFolder((folder) => {
      const path = join(folder, "core");
      writeSample(path);
      const { phoff, phnum } = openCore(path).header;
      expect(statSync(path).size).toBe(phoff + phnum * 56);
    }));

  test("is read by readelf and eu-readelf without a warning", () =>
    withFolder(async (folder) => {
      const path = join(folder, "core");
      writeSample(path);
      const readelf = await run("readelf", ["-hlnW", path]);
      expect(readelf.stderr).toBe("");
      expect(readelf.stdout).toMatch(/RECORE/);
      expect(`${readelf.stdout}`).not.toMatch(/warning/i);
      const eu = await run("eu-readelf", ["-hln", path]);
      expect(eu.stderr).toBe("");
      expect(eu.stdout).toMatch(/tid|pid: 100/);
    }));
});

describe("a core of 70,000 mappings", () => {
  const vmas = Array.from({ length: 70_000 }, (_, index) =>
    vma(0x10_0000n + BigInt(index) * 0x2000n, 1, { prot: index % 2 ? "r--p" : "rw-p" }),
  );
  const segments = vmas.map(({ start, prot }) => ({
    kind: "load" as const,
    prot: prot.slice(0, 3),
    offset: 4096,
    address: start,
    fileBytes: 0,
    memoryBytes: 4096,
  }));

  test("counts its segments in section header 0 and comes back", () =>
    withFolder(async (folder) => {
      const path = join(folder, "core");
      const fd = openSync(path, "w+");
      writeCoreTail(fd, { layout: { segments }, state: sampleState({ vmas }), tailOffset: 4096 });
      closeSync(fd);
      const bytes = readFileSync(path);
      expect([bytes.readUInt16LE(56), bytes.readUInt16LE(60)]).toEqual([0xffff, 1]);
      using core = openCore(path);
      expect(core.segments).toHaveLength(70_001);
      expect(core.segments.slice(1)).toEqual(segments);
      expect(readState(core).vmas).toEqual(vmas);
      const { stdout, stderr } = await run("readelf", ["-hW", path]);
      expect(stderr).toBe("");
      expect(stdout).toMatch(/65535 \(70001\)/);
      truncateSync(path, bytes.length - 1);
      expect(errorOf(() => openCore(path))).toMatchObject({ code: "CORE_TRUNCATED" });
    }));
});

const TYPES = Object.values(RECORE_NOTES);

describe("RECORE notes", () => {
  const notes = (changes: Partial<ProcessState> = {}) =>
    [...encodeRecoreNotes(sampleState(changes)), encodeRecoreNote("CHECKSUM", { crc32c: "00000000" })].map(
      (bytes, index) => ({
        owner: "RECORE",
        type: TYPES[index] ?? 0,
        desc: bytes.subarray(20, 20 + bytes.readUInt32LE(4)),
      }),
    );
  const foreign = (type: number, body: unknown) => ({ owner: "RECORE", type, desc: encodeNoteJson(body) });
  const decode = (...more: { owner: string; type: number; desc: Buffer }[]) =>
    decodeRecoreNotes([...notes(), ...more], "x");

  test("have type numbers that never change", () => {
    expect(TYPES).toEqual([...Array(13).keys()].map((index) => 0x5243_0001 + index));
    expect(encodeNote({ owner: "RECORE", type: 1, desc: Buffer.alloc(0) })).toHaveLength(20);
  });

  test("of an unknown type are passed over unless they say they are required", () => {
    expect(decode(foreign(99, { format: [1, 7], required: false, body: 1 })).VMAS).toEqual(SAMPLE_VMAS);
    const required = foreign(99, { format: [1, 7], required: true, body: 1 });
    expect(errorOf(() => decode(required))).toMatchObject({ code: "FORMAT_VERSION" });
  });

  test("of another major version are refused, of another minor version read", () => {
    const [host, ...others] = notes();
    const body = JSON.parse(host?.desc.toString() ?? "").body;
    const withFormat = (format: number[]) => [
      foreign(TYPES[0] ?? 0, { format, required: false, body, extra: 1 }),
      ...others,
    ];
    expect(decodeRecoreNotes(withFormat([1, 9]), "x").HOST.kernel).toBe(body.kernel);
    expect(errorOf(() => decodeRecoreNotes(withFormat([2, 0]), "x"))).toMatchObject({
      code: "FORMAT_VERSION",
    });
  });

  test("of an older core have runs in rows", () => {
    const run = { address: 0x60_0000n, lengthBytes: 8192, fileOffset: 4096, crc32c: 7, sameAsFile: true };
    const all = notes({ runs: [run] });
    expect(decodeRecoreNotes(all, "x").PAGES.runs).toEqual([run]);
    const body = { runs: [["0x600000", 8192, 4096, 7, 1]] };
    const elder = foreign(RECORE_NOTES.PAGES, { format: [1, 0], required: true, body });
    const others = all.filter(({ type }) => type !== RECORE_NOTES.PAGES);
    expect(decodeRecoreNotes([...others, elder], "x").PAGES.runs).toEqual([run]);
  });

  test("that are missing, doubled, malformed or no JSON are refused by name", () => {
    const all = notes();
    for (const [index, name] of Object.keys(RECORE_NOTES).entries()) {
      const replaced = (note: { owner: string; type: number; desc: Buffer } | undefined) =>
        errorOf(() =>
          decodeRecoreNotes([...all.slice(0, index), ...(note ? [note] : []), ...all.slice(index + 1)], "x"),
        );
      const named = { code: "BAD_CORE", message: expect.stringContaining(`RECORE/${name} `) };
      expect(replaced(undefined)).toMatchObject(named);
      expect(replaced({ owner: "RECORE", type: TYPES[index] ?? 0, desc: Buffer.from("{") })).toMatchObject(
        named,
      );
      expect(replaced(foreign(TYPES[index] ?? 0, { format: [1, 0], required: true, body: 7 }))).toMatchObject(
        named,
      );
      expect(replaced(foreign(TYPES[index] ?? 0, [1, 2]))).toMatchObject(named);
      expect(errorOf(() => decodeRecoreNotes([...all, ...all.slice(index, index + 1)], "x"))).toMatchObject(
        named,
      );
    }
  });
});
