/** Files that were deleted while open come back from the core, for everybody who had them open. */
import {
  closeSync,
  constants,
  fstatSync,
  openSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  readSync,
  unlinkSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { prepareFiles } from "../../src/restore/files.js";
import { RUN_BYTES_MAX } from "../../src/state/address.js";
import { crc32cRanges } from "../../src/tracee/native.js";
import { code } from "./failure.js";
import { makeFolder, optionsFor, record, stateOf } from "./recorded.js";

const { O_RDWR } = constants;

describe("prepareFiles() with a deleted file", () => {
  const CONTENT = Buffer.concat([Buffer.from("head"), Buffer.alloc(1 << 20), Buffer.from("tail")]);

  function deletedState(folder: string, wrongChecksum = false) {
    const core = join(folder, "core.1");
    writeFileSync(core, Buffer.concat([Buffer.alloc(4096), CONTENT]));
    const path = join(folder, "scratch");
    writeFileSync(path, CONTENT, { mode: 0o640 });
    const coreFd = openSync(core, "r");
    const rest = { fileOffset: 4096 + RUN_BYTES_MAX, lengthBytes: CONTENT.length - RUN_BYTES_MAX };
    const crc32c = crc32cRanges(coreFd, [{ fileOffset: 4096, lengthBytes: RUN_BYTES_MAX }, rest]);
    if (wrongChecksum) crc32c.reverse();
    const content = { fileOffset: 4096, lengthBytes: CONTENT.length, crc32c };
    const reader = record(path, { deleted: true, position: 3n, mtimeNs: 1_000_000_000n });
    const writer = { ...reader, flags: O_RDWR | 0o20000000 | constants.O_DIRECTORY, content };
    unlinkSync(path);
    return { path, state: stateOf([writer, reader]), coreFd };
  }

  it("makes it again under its name, sparse, with its mode and time, one file for all who had it", () => {
    const folder = makeFolder();
    const { path, state, coreFd } = deletedState(folder);
    using files = prepareFiles(state, optionsFor(folder, { coreFd }));
    const [writer = -1, reader = -1] = files.sources.map(({ fd }) => fd);
    const stat = fstatSync(writer);
    expect(stat).toMatchObject({ size: CONTENT.length, nlink: 0, mtimeMs: 1000 });
    expect(stat.mode & 0o7777).toBe(0o640);
    expect(stat.blocks * 512).toBeLessThan(65_536);
    expect(readlinkSync(`/proc/self/fd/${reader}`)).toBe(`${path} (deleted)`);
    writeSync(writer, "HEAD", 0);
    const bytes = Buffer.alloc(CONTENT.length);
    readSync(reader, bytes, 0, bytes.length, 0);
    expect(bytes.equals(Buffer.concat([Buffer.from("HEAD"), CONTENT.subarray(4)]))).toBe(true);
    expect(files.sources.map(({ position }) => position)).toEqual([3n, 3n]);
    expect(readdirSync(folder)).toEqual(["core.1"]);
    closeSync(coreFd);
  });

  it("leaves a newer file of that name alone", () => {
    const folder = makeFolder();
    const { path, state, coreFd } = deletedState(folder);
    writeFileSync(path, "newer");
    using files = prepareFiles(state, optionsFor(folder, { coreFd }));
    expect(fstatSync(files.sources[0]?.fd ?? -1).size).toBe(CONTENT.length);
    expect(readFileSync(path, "utf8")).toBe("newer");
    closeSync(coreFd);
  });

  it("refuses content whose checksum is wrong, and content that is not there", () => {
    const folder = makeFolder();
    const { state, coreFd } = deletedState(folder, true);
    expect(code(() => prepareFiles(state, optionsFor(folder, { coreFd })))).toBe("CORE_CORRUPT");
    const [, reader] = state.descriptions;
    const alone = { descriptions: reader ? [reader] : [], descriptors: state.descriptors.slice(1) };
    expect(code(() => prepareFiles(alone, optionsFor(folder, { coreFd })))).toBe("FILE_MISSING");
    closeSync(coreFd);
  });
});
