/** The executable and mapped files: missing, changed, moved, deleted, and cores that know little of them. */
import {
  appendFileSync,
  copyFileSync,
  openSync,
  realpathSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { readBuildId } from "../../src/host/build-id.js";
import { checkMappedFiles, type MappedFilesOptions } from "../../src/restore/check-mapped-files.js";
import type { Vma } from "../../src/state/vma.js";
import { code, failure, message } from "./failure.js";
import { processState } from "./process-state.js";
import { makeFolder, recordMapping } from "./recorded.js";

const LIBC = realpathSync("/lib/x86_64-linux-gnu/libc.so.6");
const SHELL = realpathSync("/bin/sh");

/** A state whose executable is `path` and that maps `vmas`; the executable is told by build-id if it has one. */
function stateWith(path: string, vmas: readonly Vma[] = []) {
  const { file, ino, dev } = recordMapping(path);
  const identity = { sizeBytes: file?.sizeBytes ?? 0, mtimeNs: file?.mtimeNs ?? 0n };
  const state = processState({ vmas });
  return {
    ...state,
    process: { ...state.process, exe: { path, dev, ino, ...identity, buildId: readBuildId(path) } },
  };
}

const options: MappedFilesOptions = { policy: "rollback", coreFd: -1 };

/** A library with build-id at a place of its own. */
function copyOf(source: string, folder: string): string {
  const path = join(folder, "copy.so");
  copyFileSync(source, path);
  return path;
}

describe("checkMappedFiles()", () => {
  it("accepts an unchanged executable and its libraries, and a copy with the same build-id", () => {
    const library = copyOf(LIBC, makeFolder());
    const buildId = readBuildId(library);
    const vma = recordMapping(library, { file: { sizeBytes: 1, mtimeNs: 1n, buildId } });
    expect(checkMappedFiles(stateWith(SHELL, [vma]), options)).toEqual([]);
  });

  it("refuses a library that is missing, another version, or no regular file any more", () => {
    const folder = makeFolder();
    const library = copyOf(LIBC, folder);
    const { file, ...rest } = recordMapping(library);
    const state = stateWith(SHELL, [{ ...rest, file: file && { ...file, buildId: readBuildId(library) } }]);
    copyFileSync("/lib64/ld-linux-x86-64.so.2", library);
    expect(message(() => checkMappedFiles(state, options))).toMatch(/EXE_CHANGED.*copy\.so.*build-id/);
    writeFileSync(library, "text");
    expect(message(() => checkMappedFiles(state, options))).toMatch(/EXE_CHANGED.*build-id is missing/);
    rmSync(library);
    expect(message(() => checkMappedFiles(state, options))).toMatch(/EXE_MISSING.*copy\.so/);
    symlinkSync(LIBC, library);
    expect(message(() => checkMappedFiles(state, options))).toMatch(/EXE_CHANGED.*symbolic link/);
  });

  it("tells data files by size and time", () => {
    const path = join(makeFolder(), "data");
    writeFileSync(path, "0123456789");
    const state = stateWith(SHELL, [recordMapping(path)]);
    expect(checkMappedFiles(state, options)).toEqual([]);
    utimesSync(path, 1, 1);
    expect(message(() => checkMappedFiles(state, options))).toMatch(/EXE_CHANGED.*data.*modification time/);
    appendFileSync(path, "more");
    expect(message(() => checkMappedFiles(state, options))).toMatch(/14 bytes, it had 10/);
  });

  it("lets --files keep accept a changed file that was mapped shared, and says so", () => {
    const path = join(makeFolder(), "data");
    writeFileSync(path, "0123456789");
    const state = stateWith(SHELL, [recordMapping(path, { kind: "shared-file", prot: "r--s" })]);
    appendFileSync(path, "more");
    expect(code(() => checkMappedFiles(state, options))).toBe("EXE_CHANGED");
    expect(checkMappedFiles(state, { ...options, policy: "keep" })).toHaveLength(1);
  });

  it("takes the executable the user names if it is the same, whatever it is called", () => {
    const folder = makeFolder();
    const moved = copyOf(SHELL, folder);
    const state = stateWith(SHELL);
    const gone = {
      ...state,
      process: { ...state.process, exe: { ...state.process.exe, path: "/nonexistent/sh" } },
    };
    const error = failure(() => checkMappedFiles(gone, options));
    expect(error).toMatchObject({ code: "EXE_MISSING", hint: expect.stringContaining("behind the core") });
    expect(checkMappedFiles(gone, { ...options, exe: moved })).toEqual([]);
    const link = join(folder, "link");
    symlinkSync(moved, link);
    expect(checkMappedFiles(gone, { ...options, exe: link })).toEqual([]);
    expect(code(() => checkMappedFiles(gone, { ...options, exe: "/bin/ls" }))).toBe("EXE_CHANGED");
  });

  it("compares the size of an executable without build-id", () => {
    const folder = makeFolder();
    const [exe, other] = [join(folder, "exe"), join(folder, "other")];
    for (const path of [exe, other]) writeFileSync(path, "0123456789");
    const state = stateWith(exe);
    utimesSync(other, 1, 1);
    expect(checkMappedFiles(state, { ...options, exe: other })).toEqual([]);
    appendFileSync(other, "more");
    expect(code(() => checkMappedFiles(state, { ...options, exe: other }))).toBe("EXE_CHANGED");
  });

  it("takes the build-id from the first page where a core of another tool holds it", () => {
    const folder = makeFolder();
    const core = copyOf(LIBC, folder);
    const coreFd = openSync(core, "r");
    const state = stateWith(SHELL, [recordMapping(LIBC, { file: null })]);
    const [vma] = state.vmas;
    const address = vma?.start ?? 0n;
    const runs = [{ address, lengthBytes: 4096, fileOffset: 0, crc32c: 0, sameAsFile: true }];
    expect(checkMappedFiles({ ...state, runs }, { ...options, coreFd })).toEqual([]);
    const wrong = { ...state, runs, vmas: state.vmas.map((one) => ({ ...one, path: "/bin/ls" })) };
    expect(code(() => checkMappedFiles(wrong, { ...options, coreFd }))).toBe("EXE_CHANGED");
    expect(checkMappedFiles({ ...wrong, runs: [] }, { ...options, coreFd })).toEqual([]);
  });

  it("refuses a deleted mapping unless the core holds all of it", () => {
    const vma = recordMapping(LIBC, { path: "/gone/lib.so", deleted: true });
    const state = stateWith(SHELL, [vma]);
    expect(message(() => checkMappedFiles(state, options))).toMatch(/EXE_MISSING.*\/gone\/lib\.so.*deleted/);
    const lengthBytes = Number(vma.end - vma.start);
    const runs = [{ address: vma.start, lengthBytes, fileOffset: 0, crc32c: 0, sameAsFile: false }];
    expect(checkMappedFiles({ ...state, runs }, options)).toEqual([]);
  });
});
