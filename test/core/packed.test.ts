/** Compressed cores: everything in them reads as in the plain one, and a flipped bit is found wherever it is. */
import { randomFillSync } from "node:crypto";
import {
  closeSync,
  ftruncateSync,
  openSync,
  readFileSync,
  statSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { packCore } from "../../src/checkpoint/pack.js";
import { readState } from "../../src/core/read-state.js";
import { openCore } from "../../src/core/reader.js";
import { verifyCore } from "../../src/core/verify.js";
import { CrError } from "../../src/errors.js";
import { checksumsOf } from "../../src/tracee/frames.js";
import { unpack } from "../../src/tracee/unpack.js";
import { flipped, withFolder, writeCore, writeSample } from "./sample-core.js";

/** Compresses the core at `path`, its bytes changed, into the folder; gives the path of the result. */
function pack(path: string, folder: string, change: (bytes: Buffer) => void = () => {}): string {
  const bytes = readFileSync(path);
  change(bytes);
  writeFileSync(path, bytes);
  const packed = join(folder, "packed");
  const [from, to] = [openSync(path, "r"), openSync(packed, "w+", 0o600)];
  try {
    packCore(from, to, { level: 3, manner: { threads: 2 } });
  } finally {
    closeSync(from);
    closeSync(to);
  }
  return packed;
}

function withPacked(act: (packed: { path: string; plain: string; folder: string }) => void): Promise<void> {
  return withFolder((folder) => {
    const plain = join(folder, "plain");
    writeSample(plain);
    act({ path: pack(plain, folder), plain, folder });
  });
}

function problemsOf(path: string): readonly { readonly code: string; readonly message: string }[] {
  try {
    using core = openCore(path, { unpack });
    return verifyCore(core, checksumsOf).problems;
  } catch (error) {
    if (error instanceof CrError) return [error];
    throw error;
  }
}

describe("a compressed core", () => {
  test("holds the state of the plain one, is smaller, and verifies", () =>
    withPacked(({ path, plain }) => {
      using core = openCore(path);
      using before = openCore(plain);
      expect(readState(core)).toEqual(readState(before));
      expect(core.sizeBytes).toBe(before.sizeBytes);
      expect(core.fileBytes).toBe(statSync(path).size);
      expect(core.fileBytes).toBeLessThan(before.sizeBytes / 4);
      expect(problemsOf(path)).toEqual([]);
    }));

  test("gives every byte of the plain core", () =>
    withPacked(({ path, plain }) => {
      const bytes = readFileSync(plain);
      using core = openCore(path, { unpack });
      expect(core.read(0, core.sizeBytes).equals(bytes)).toBe(true);
      for (const [at, length] of [
        [0, 64],
        [4090, 20],
        [5000, 300_000],
        [bytes.length - 7, 7],
      ] as const) {
        expect(core.read(at, length).equals(bytes.subarray(at, at + length)), `at ${at}`).toBe(true);
      }
    }));

  test("shows debuggers its threads, and no memory", () =>
    withPacked(({ path }) => {
      const bytes = readFileSync(path);
      const at = Number(bytes.readBigUInt64LE(32));
      const segments = Array.from({ length: bytes.readUInt16LE(56) }, (_, index) => at + index * 56);
      const loads = segments.filter((start) => bytes.readUInt32LE(start) === 1);
      expect(loads.length).toBeGreaterThan(2);
      expect(loads.map((start) => bytes.readBigUInt64LE(start + 32))).toEqual(loads.map(() => 0n));
    }));

  test("is refused with a flipped bit in any part of it", () =>
    withPacked(({ path, folder }) => {
      const bytes = readFileSync(path);
      const places = new Set([4, 63, 64, 4095, bytes.length - 1]);
      for (let at = 4096; at < bytes.length; at += 97) places.add(at);
      for (const at of places) {
        const problems = problemsOf(writeCore(folder, flipped(bytes, at, at % 8)));
        expect(problems, `byte ${at}`).not.toEqual([]);
        expect(problems[0]?.code).toMatch(
          /^(CORE_CORRUPT|CORE_TRUNCATED|BAD_CORE|FORMAT_VERSION|FOREIGN_CORE)$/,
        );
      }
    }));

  test("is refused when it was cut short", () =>
    withPacked(({ path }) => {
      for (const bytes of [statSync(path).size - 1, statSync(path).size / 2, 5000]) {
        truncateSync(path, bytes);
        expect(problemsOf(path)[0]?.code).toMatch(/^(CORE_TRUNCATED|BAD_CORE)$/);
      }
    }));

  test("of memory that is all zero has no frame at all", () =>
    withFolder((folder) => {
      const plain = join(folder, "plain");
      writeSample(plain);
      const fd = openSync(plain, "r+");
      // The data gone, its checksums not: only the form of the file is of interest here.
      const { size } = statSync(plain);
      const bytes = readFileSync(plain);
      const tailOffset = Number(bytes.readBigUInt64LE(Number(bytes.readBigUInt64LE(32)) + 8));
      ftruncateSync(fd, 4096);
      ftruncateSync(fd, tailOffset);
      closeSync(fd);
      const tail = bytes.subarray(tailOffset, size);
      appendTo(plain, tail);
      using core = openCore(pack(plain, folder), { unpack });
      expect(core.pages.frames).toEqual([]);
      expect(core.read(4096, 1 << 20).equals(Buffer.alloc(1 << 20))).toBe(true);
      expect(checksumsOf(core.pages, [{ fileOffset: 4096, lengthBytes: 4096 }])).toEqual(
        checksumsOf({ path: plain, fd: core.fd, frames: null }, [{ fileOffset: 4096, lengthBytes: 4096 }]),
      );
    }));

  test("of memory that cannot be compressed verifies, too", () =>
    withFolder((folder) => {
      const plain = join(folder, "plain");
      writeSample(plain);
      const path = pack(plain, folder, (bytes) => randomFillSync(bytes, 4096, 1 << 20));
      using core = openCore(path, { unpack });
      const [frame] = core.pages.frames ?? [];
      expect(frame?.lengthBytes).toBeGreaterThan(1 << 20);
      const { message } = problemsOf(path)[0] ?? {};
      // The frames are whole; the checksums are those of the bytes before.
      expect(message).toMatch(/the pages at 0x400000/);
    }));

  test("that was opened without a way to unpack it gives no memory", () =>
    withPacked(({ path }) => {
      using core = openCore(path);
      expect(() => core.fd).toThrow(/was not unpacked/);
      expect(() => core.read(4096, 1)).toThrow(/without a way to unpack it/);
    }));
});

function appendTo(path: string, bytes: Buffer): void {
  const fd = openSync(path, "a");
  try {
    writeSync(fd, bytes);
  } finally {
    closeSync(fd);
  }
}
