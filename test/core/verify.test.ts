/** A flipped bit is found wherever it is. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { openCore } from "../../src/core/reader.js";
import { verifyCore } from "../../src/core/verify.js";
import type { CrError } from "../../src/errors.js";
import { flipped, SAMPLE_CONTENT, slowChecksum, withFolder, writeCore, writeSample } from "./sample-core.js";

function verdictOn(folder: string, bytes: Buffer) {
  using core = openCore(writeCore(folder, bytes));
  return verifyCore(core, slowChecksum);
}

test("verifyCore covers every byte of a good core", () =>
  withFolder((folder) => {
    const path = join(folder, "core");
    writeSample(path);
    const bytes = readFileSync(path);
    // All but the filling behind the deleted file, which has to be zero.
    const filling = 4096 - SAMPLE_CONTENT.length;
    expect(verdictOn(folder, bytes)).toEqual({
      ok: true,
      checkedBytes: bytes.length - filling,
      problems: [],
    });
  }));

test("verifyCore finds a flipped bit in pages, stored files and filling, and says where", () =>
  withFolder((folder) => {
    const path = join(folder, "core");
    const { runs, files } = writeSample(path);
    const bytes = readFileSync(path);
    const content = files.descriptions[1]?.content?.fileOffset ?? 0;
    const edges = runs.flatMap(({ fileOffset, lengthBytes }) => [fileOffset, fileOffset + lengthBytes - 1]);
    const places = [
      ...edges,
      content,
      content + SAMPLE_CONTENT.length - 1,
      content + SAMPLE_CONTENT.length,
      content + 4095,
    ];
    for (const at of places) {
      const { ok, problems } = verdictOn(folder, flipped(bytes, at, at % 8));
      expect(ok).toBe(false);
      expect(problems, `byte ${at}`).toHaveLength(1);
      expect(problems[0]).toMatchObject({
        code: "CORE_CORRUPT",
        message: expect.stringMatching(/file offset \d+/),
      });
    }
  }));

test("openCore finds a flipped bit in headers and notes before anything is believed", () =>
  withFolder((folder) => {
    const path = join(folder, "core");
    writeSample(path);
    const bytes = readFileSync(path);
    expect(() => verdictOn(folder, flipped(bytes, 2000))).toThrow(
      expect.objectContaining({ code: "CORE_CORRUPT" } satisfies Partial<CrError>),
    );
  }));
