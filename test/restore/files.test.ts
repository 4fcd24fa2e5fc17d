/** Opening recorded files again: exact flags, nothing created or truncated, every change refused by name. */
import {
  appendFileSync,
  closeSync,
  constants,
  fstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  statSync,
  symlinkSync,
  truncateSync,
  unlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { prepareFiles } from "../../src/restore/files.js";
import { code, message } from "./failure.js";
import { makeFolder, optionsFor, record, recordMapping, stateOf } from "./recorded.js";
import { withWriter } from "./writer.js";

const { O_APPEND, O_RDWR, O_WRONLY, O_NOFOLLOW } = constants;

/** Flags of an own descriptor as the kernel shows them, without O_CLOEXEC. */
function flagsOf(fd: number): number {
  const text = readFileSync(`/proc/self/fdinfo/${fd}`, "utf8");
  return Number.parseInt(/flags:\s+(\d+)/.exec(text)?.[1] ?? "0", 8) & ~0o2000000;
}

function openDescriptors(): number {
  return readdirSync("/proc/self/fd").length;
}

describe("prepareFiles()", () => {
  it("opens each description once, with the recorded flags and position, for all its descriptors", () => {
    const folder = makeFolder();
    const path = join(folder, "log");
    writeFileSync(path, "0123456789");
    const fd = openSync(path, O_WRONLY | O_APPEND);
    const flags = flagsOf(fd);
    closeSync(fd);
    const state = {
      ...stateOf([record(path, { flags, position: 7n })]),
      descriptors: [
        { fd: 3, description: 0, cloexec: true },
        { fd: 9, description: 0, cloexec: false },
      ],
    };
    using files = prepareFiles(state, optionsFor(folder));
    expect(files.sources).toHaveLength(1);
    expect(files.sources[0]).toMatchObject({ position: 7n, descriptionId: 0 });
    expect(files.descriptors).toEqual([
      { fd: 3, cloexec: true, source: 0 },
      { fd: 9, cloexec: false, source: 0 },
    ]);
    expect(flagsOf(files.sources[0]?.fd ?? -1)).toBe(flags);
    expect(files.softErrors).toEqual([]);
  });

  it("never creates, truncates or follows a link, whatever flags a core asks for", () => {
    const folder = makeFolder();
    const path = join(folder, "data");
    writeFileSync(path, "precious");
    const evil = constants.O_CREAT | constants.O_TRUNC | O_RDWR;
    prepareFiles(stateOf([record(path, { flags: evil })]), optionsFor(folder))[Symbol.dispose]();
    expect(readFileSync(path, "utf8")).toBe("precious");
    const recorded = record(path);
    renameSync(path, `${path}.old`);
    symlinkSync(`${path}.old`, path);
    expect(message(() => prepareFiles(stateOf([recorded]), optionsFor(folder)))).toMatch(
      /FILE_CHANGED.*symbolic link/,
    );
  });

  it("opens a file that the program opened with O_NOFOLLOW with the same flags", () => {
    const folder = makeFolder();
    const path = join(folder, "plain");
    writeFileSync(path, "x");
    using files = prepareFiles(stateOf([record(path, { flags: O_NOFOLLOW })]), optionsFor(folder));
    expect(flagsOf(files.sources[0]?.fd ?? -1) & O_NOFOLLOW).toBe(O_NOFOLLOW);
  });

  it("reopens folders and devices after making sure that they are the same", () => {
    const folder = makeFolder();
    const inner = join(folder, "inner");
    mkdirSync(inner);
    const state = stateOf([record(inner, { flags: constants.O_DIRECTORY }), record("/dev/zero")]);
    using files = prepareFiles(state, optionsFor(folder));
    const [directory, zero] = files.sources.map(({ fd }) => fstatSync(fd));
    expect(directory?.isDirectory()).toBe(true);
    expect(zero?.isCharacterDevice()).toBe(true);
    expect(files.sources[1]?.position).toBeNull();
    const otherDevice = stateOf([record("/dev/zero", { rdev: "1:3" })]);
    expect(message(() => prepareFiles(otherDevice, optionsFor(folder)))).toMatch(/FILE_CHANGED.*device 1:5/);
    renameSync(inner, `${inner}.old`);
    mkdirSync(inner);
    expect(code(() => prepareFiles(state, optionsFor(folder)))).toBe("FILE_CHANGED");
  });

  it("refuses missing, shrunk, replaced and overwritten files by name and leaves nothing open", () => {
    const folder = makeFolder();
    const path = join(folder, "journal");
    const attempt = (change: () => void) => {
      writeFileSync(path, "0123456789");
      const state = stateOf([record("/dev/null"), record(path, { flags: O_RDWR, position: 10n })]);
      change();
      const before = openDescriptors();
      const text = message(() => prepareFiles(state, optionsFor(folder)));
      expect(openDescriptors()).toBe(before);
      return text;
    };
    expect(attempt(() => unlinkSync(path))).toMatch(/FILE_MISSING.*journal/);
    expect(attempt(() => truncateSync(path, 4))).toMatch(/FILE_CHANGED.*journal.*shrank from 10 to 4/);
    expect(
      attempt(() => {
        writeFileSync(`${path}.new`, "0123456789");
        renameSync(`${path}.new`, path);
      }),
    ).toMatch(/FILE_CHANGED.*replaced/);
    expect(attempt(() => utimesSync(path, 1, 1))).toMatch(/FILE_CHANGED.*written to in place/);
  });

  it("names a live process that has the program's output open for writing", () => {
    const folder = makeFolder();
    const path = join(folder, "shared.log");
    writeFileSync(path, "0123456789");
    const state = stateOf([record(path, { flags: O_WRONLY, position: 10n })]);
    // cr's own descriptors do not count.
    const own = openSync(path, "a");
    prepareFiles(state, optionsFor(folder))[Symbol.dispose]();
    closeSync(own);
    withWriter(path, (pid) => {
      const options = optionsFor(folder);
      expect(message(() => prepareFiles(state, options))).toMatch(
        new RegExp(`FILE_CHANGED.*shared.log.*process ${pid} \\(sleep\\)`),
      );
      using kept = prepareFiles(state, { ...options, policy: "keep" });
      expect(kept.softErrors.map((soft) => soft.message).join()).toContain(`process ${pid}`);
    });
  });

  it("accepts a changed file that was only read, and says so", () => {
    const folder = makeFolder();
    const path = join(folder, "input");
    writeFileSync(path, "0123456789");
    const state = stateOf([record(path, { position: 5n })]);
    appendFileSync(path, "more");
    using files = prepareFiles(state, optionsFor(folder));
    expect(files.softErrors).toEqual([
      { kind: "file", id: path, message: `file ${path} grew from 10 to 14 bytes` },
    ]);
    files.commit();
    expect(statSync(path).size).toBe(14);
  });

  it("accepts in-place changes of a file that was wholly mapped for writing", () => {
    const folder = makeFolder();
    const path = join(folder, "db");
    writeFileSync(path, Buffer.alloc(4096));
    const mapping = recordMapping(path, { kind: "shared-file", prot: "rw-s" });
    const state = stateOf([record(path, { flags: O_RDWR })]);
    utimesSync(path, 1, 1);
    expect(code(() => prepareFiles(state, optionsFor(folder)))).toBe("FILE_CHANGED");
    prepareFiles(state, optionsFor(folder, { vmas: [mapping] }))[Symbol.dispose]();
  });

  it("compares inodes only when the machine was booted since", () => {
    const folder = makeFolder();
    const path = join(folder, "file");
    writeFileSync(path, "x");
    const state = stateOf([record(path, { dev: "99:1" })]);
    expect(code(() => prepareFiles(state, optionsFor(folder)))).toBe("FILE_CHANGED");
    prepareFiles(state, optionsFor(folder, { sameBoot: false }))[Symbol.dispose]();
  });
});
