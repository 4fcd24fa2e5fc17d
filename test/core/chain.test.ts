/** What a delta builds on: found, proved to be the very core that is meant, and refused by name where it is not. */
import { mkdirSync, readFileSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { checksumOfCore } from "../../src/core/chain.js";
import { readAncestors, readCore } from "../../src/core/read-core.js";
import { readState } from "../../src/core/read-state.js";
import { openCore } from "../../src/core/reader.js";
import { verifyWithChain } from "../../src/core/verify-chain.js";
import type { InheritedRun } from "../../src/state/delta.js";
import type { ProcessState } from "../../src/state/process.js";
import { unpack } from "../../src/tracee/unpack.js";
import { errorOf } from "./error-of.js";
import { flipped, sampleState, slowChecksum, withFolder, writeCore, writeSample } from "./sample-core.js";

const FREE = 0x60_0000n + 400n * 4096n;

/** `parent` and `delta` in a folder: the delta shows the parent's first two runs of the heap a second time, farther up. */
function writeChain(folder: string, changes: Partial<InheritedRun> = {}, of: Partial<ProcessState> = {}) {
  const path = join(folder, "parent");
  const { runs, host } = writeSample(path);
  using parent = openCore(path);
  const [, from] = runs;
  if (from === undefined) throw new RangeError("the sample has no runs");
  const pages = {
    address: FREE,
    lengthBytes: 4096 * 44,
    ancestor: 0,
    fileOffset: from.fileOffset,
    crc32c: 0,
  };
  const [crc = 0] = slowChecksum(parent.pages, [pages]);
  const ancestors = [{ name: "parent", path, checksum: checksumOfCore(parent) ?? "", takenMs: host.takenMs }];
  const delta = { ancestors, inherited: [{ ...pages, crc32c: crc, ...changes }] };
  writeSample(join(folder, "delta"), { delta, ...of });
  return join(folder, "delta");
}

function verdictOn(path: string) {
  using core = openCore(path);
  return verifyWithChain(core, { checksum: slowChecksum, unpack });
}

test("a delta names its parent, which is found and proved", () =>
  withFolder((folder) => {
    const path = writeChain(folder);
    expect(readCore(path).parents).toEqual([join(folder, "parent")]);
    expect(readAncestors(path)).toEqual(["parent"]);
    expect(readCore(path).state.delta?.inherited).toMatchObject([{ address: FREE, lengthBytes: 44 * 4096 }]);
    const alone = verdictOn(join(folder, "parent")).checkedBytes;
    const { ok, checkedBytes } = verdictOn(path);
    expect(ok).toBe(true);
    expect(checkedBytes).toBeGreaterThan(alone);
  }));

test("a parent that moved with its delta is found beside it", () =>
  withFolder((folder) => {
    writeChain(folder);
    mkdirSync(join(folder, "other"));
    for (const name of ["parent", "delta"]) renameSync(join(folder, name), join(folder, "other", name));
    expect(readCore(join(folder, "other", "delta")).parents).toEqual([join(folder, "other", "parent")]);
    renameSync(join(folder, "other", "parent"), join(folder, "parent"));
    expect(readCore(join(folder, "other", "delta")).parents).toEqual([join(folder, "parent")]);
  }));

test("a parent that is gone, another one, or of another process is refused by name", () =>
  withFolder((folder) => {
    const path = writeChain(folder);
    const parent = join(folder, "parent");
    const { process, host } = sampleState();
    writeSample(parent, { host: { ...host, takenMs: host.takenMs + 1 } });
    expect(errorOf(() => readCore(path))).toMatchObject({
      code: "PARENT_CHANGED",
      message: expect.stringMatching(/builds on .*parent, whose checksum is .* is required$/),
    });
    writeSample(parent, { process: { ...process, startTicks: process.startTicks + 1n } });
    expect(errorOf(() => readCore(path))).toMatchObject({
      code: "PARENT_OTHER",
      message: expect.stringMatching(new RegExp(`a core of process ${process.pid}, started at another time`)),
    });
    rmSync(parent);
    expect(errorOf(() => readCore(path))).toMatchObject({
      code: "PARENT_MISSING",
      message: expect.stringMatching(/it builds on .*parent, which is not there$/),
      hint: expect.stringMatching(/put parent back/),
    });
    expect(verdictOn(path)).toMatchObject({ ok: false, problems: [{ code: "PARENT_MISSING" }] });
  }));

test("a flipped bit in what is inherited is found", () =>
  withFolder((folder) => {
    const path = writeChain(folder);
    const bytes = readFileSync(join(folder, "parent"));
    const at = readState(openCore(path)).delta?.inherited[0]?.fileOffset ?? 0;
    writeCore(folder, flipped(bytes, at + 5));
    renameSync(join(folder, "core"), join(folder, "parent"));
    expect(verdictOn(path)).toMatchObject({
      ok: false,
      problems: [{ code: "CORE_CORRUPT", message: expect.stringMatching(/which it inherits from .*parent/) }],
    });
  }));

test.each([
  ["out of a mapping", { address: 0x50_0000n }, /are in no private memory$/],
  ["of no file", { ancestor: 1 }, /are in an ancestor that is not named$/],
  ["in half a page", { lengthBytes: 4096 * 43 + 1 }, /are not whole pages/],
  ["among the headers", { fileOffset: 2048 }, /are not whole pages at a whole page of a file$/],
  ["that are stored", { address: 0x60_0000n }, /are stored in the core as well$/],
])("inherited pages %s are no good core", (_title, changes, what) =>
  withFolder((folder) => {
    const path = writeChain(folder, changes);
    expect(errorOf(() => readCore(path))).toMatchObject({
      code: "BAD_CORE",
      message: expect.stringMatching(what),
    });
  }),
);
