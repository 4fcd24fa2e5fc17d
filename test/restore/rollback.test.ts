/** Grown files are cut back, their tails saved and put back; shared mappings are written back. */
import {
  appendFileSync,
  closeSync,
  constants,
  existsSync,
  openSync,
  readdirSync,
  readFileSync,
  statSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { basename, join } from "node:path";
import { describe, expect, it } from "vitest";
import { prepareFiles } from "../../src/restore/files.js";
import { cutBack } from "../../src/restore/rollback.js";
import { openSharedMappings, rollbackSharedMapping } from "../../src/restore/shared-mappings.js";
import { code, message } from "./failure.js";
import { makeFolder, optionsFor, record, recordMapping, stateOf } from "./recorded.js";
import { withWriter } from "./writer.js";

const { O_APPEND, O_RDWR, O_WRONLY } = constants;

/** Two logs of ten bytes that a program appends to, and their state; both have grown since. */
function grownLogs(folder: string) {
  const paths = [join(folder, "a.log"), join(folder, "b.log")];
  for (const path of paths) writeFileSync(path, "0123456789");
  const flags = O_WRONLY | O_APPEND;
  const state = stateOf(paths.map((path) => record(path, { flags, position: 10n })));
  const mtimes = paths.map((path) => statSync(path).mtimeMs);
  for (const path of paths) appendFileSync(path, `tail of ${basename(path)}`);
  return { paths, state, mtimes };
}

describe("a rollback of grown files", () => {
  it("touches nothing before commit, then cuts and saves each tail beside the core", () => {
    const folder = makeFolder();
    const { paths, state, mtimes } = grownLogs(folder);
    const sizes = () => paths.map((path) => statSync(path).size);
    using files = prepareFiles(state, optionsFor(folder));
    expect(sizes()).toEqual([23, 23]);
    expect(readdirSync(folder)).toEqual(["a.log", "b.log"]);
    const soft = files.commit();
    expect(sizes()).toEqual([10, 10]);
    const tail = join(folder, "core.1.tail.0.a.log");
    expect(readFileSync(tail, "utf8")).toBe("tail of a.log");
    expect(statSync(tail).mode & 0o777).toBe(0o600);
    expect(soft[0]?.message).toContain(tail);
    expect(readFileSync(join(folder, "core.1.tail.0.b.log"), "utf8")).toBe("tail of b.log");
    for (const [index, path] of paths.entries()) {
      expect(statSync(path).mtimeMs).toBeCloseTo(mtimes[index] ?? 0, 1);
    }
  });

  it("can be repeated: the files count as unchanged after it, and tails get new numbers", () => {
    const folder = makeFolder();
    const { paths, state } = grownLogs(folder);
    for (let round = 1; round <= 3; round += 1) {
      using files = prepareFiles(state, optionsFor(folder));
      expect(files.softErrors).toEqual([]);
      expect(files.commit()).toHaveLength(round === 1 ? 2 : round === 3 ? 1 : 0);
      if (round === 2) appendFileSync(paths[0] ?? "", "again");
    }
    expect(readFileSync(join(folder, "core.1.tail.1.a.log"), "utf8")).toBe("again");
  });

  it("puts the tails back on undo", () => {
    const folder = makeFolder();
    const { paths, state } = grownLogs(folder);
    using files = prepareFiles(state, optionsFor(folder));
    files.commit();
    files.undo();
    expect(readFileSync(paths[0] ?? "", "utf8")).toBe("0123456789tail of a.log");
    expect(readdirSync(folder)).toEqual(["a.log", "b.log"]);
  });

  it("cuts nothing when a tail cannot be saved", () => {
    const folder = makeFolder();
    const { paths, state } = grownLogs(folder);
    using files = prepareFiles(state, optionsFor(folder, { corePath: join(folder, "gone", "core.1") }));
    expect(code(() => files.commit())).toBe("RESTORE_FAILED");
    expect(paths.map((path) => statSync(path).size)).toEqual([23, 23]);
  });

  it("undoes the first cut when a later file shrank meanwhile", () => {
    const folder = makeFolder();
    const { paths, state } = grownLogs(folder);
    using files = prepareFiles(state, optionsFor(folder));
    truncateSync(paths[1] ?? "", 3);
    expect(message(() => files.commit())).toMatch(/FILE_CHANGED.*b.log.*3 bytes/);
    expect(statSync(paths[0] ?? "").size).toBe(23);
    expect(readdirSync(folder)).toEqual(["a.log", "b.log"]);
  });

  it("is left undone by --files keep, which says what grew", () => {
    const folder = makeFolder();
    const { paths, state } = grownLogs(folder);
    using files = prepareFiles(state, optionsFor(folder, { policy: "keep" }));
    expect(files.softErrors.map((soft) => soft.message)).toEqual([
      `file ${paths[0]} grew by 13 bytes since the checkpoint; they are kept`,
      `file ${paths[1]} grew by 13 bytes since the checkpoint; they are kept`,
    ]);
    expect(files.commit()).toEqual([]);
    expect(statSync(paths[0] ?? "").size).toBe(23);
  });

  it("says that bytes before the end may have changed under a program that wrote there", () => {
    const folder = makeFolder();
    const path = join(folder, "db");
    writeFileSync(path, "0123456789");
    const state = stateOf([record(path, { flags: O_RDWR, position: 4n })]);
    appendFileSync(path, "more");
    using files = prepareFiles(state, optionsFor(folder));
    expect(files.softErrors[0]?.message).toMatch(/wrote at 4, before its end/);
    files.commit();
    expect(statSync(path).size).toBe(10);
  });

  it("saves tails of many chunks whole", () => {
    const folder = makeFolder();
    const path = join(folder, "big");
    const tail = Buffer.alloc(5_000_000, "0123456789abc");
    writeFileSync(path, Buffer.concat([Buffer.from("head"), tail]));
    const fd = openSync(path, "r+");
    const { done } = cutBack([{ path, fd, toBytes: 4, mtimeNs: 0n }], join(folder, "core"));
    closeSync(fd);
    expect(readFileSync(done[0]?.tailPath ?? "").equals(tail)).toBe(true);
    expect(readFileSync(path, "utf8")).toBe("head");
  });
});

describe("a rollback of shared mappings", () => {
  function mappedFile(folder: string) {
    const path = join(folder, "shm");
    writeFileSync(path, Buffer.alloc(10_000, "old "));
    const core = join(folder, "core.1");
    writeFileSync(core, Buffer.concat([Buffer.alloc(4096), readFileSync(path), Buffer.alloc(2_288)]));
    const vma = recordMapping(path, { kind: "shared-file", prot: "rw-s" });
    const runs = [
      { address: vma.start, lengthBytes: 12_288, fileOffset: 4096, crc32c: 0, sameAsFile: false },
    ];
    return { path, core, vma, runs };
  }

  it("writes the recorded bytes back, and nothing past the file's end", () => {
    const folder = makeFolder();
    const { path, core, vma, runs } = mappedFile(folder);
    const old = readFileSync(path);
    writeFileSync(path, Buffer.alloc(10_000, "new!"));
    const coreFd = openSync(core, "r");
    using shared = openSharedMappings([vma], "rollback");
    expect(shared.softErrors).toEqual([]);
    for (const mapping of shared.mappings) {
      expect(rollbackSharedMapping(coreFd, mapping, runs)).toBe(10_000);
      expect(rollbackSharedMapping(coreFd, mapping, runs)).toBe(0);
    }
    closeSync(coreFd);
    expect(readFileSync(path).equals(old)).toBe(true);
  });

  it("refuses a file that another process writes to, that shrank or is gone", () => {
    const folder = makeFolder();
    const { path, vma } = mappedFile(folder);
    withWriter(path, (pid) => {
      expect(message(() => openSharedMappings([vma], "rollback"))).toMatch(
        new RegExp(`FILE_CHANGED.*${path}.*process ${pid}`),
      );
      using kept = openSharedMappings([vma], "keep");
      expect(kept.softErrors).toHaveLength(2);
    });
    truncateSync(path, 100);
    expect(message(() => openSharedMappings([vma], "rollback"))).toMatch(/shrank from 10000 to 100/);
    expect(existsSync(path)).toBe(true);
    expect(code(() => openSharedMappings([{ ...vma, path: `${path}.gone` }], "rollback"))).toBe(
      "FILE_MISSING",
    );
  });

  it("leaves mappings alone that the program could only read", () => {
    const folder = makeFolder();
    const { vma } = mappedFile(folder);
    using shared = openSharedMappings([{ ...vma, prot: "r--s" }], "rollback");
    expect(shared.mappings).toEqual([]);
    using later = openSharedMappings([{ ...vma, prot: "r--s", flags: ["mw"] }], "rollback");
    expect(later.mappings).toHaveLength(1);
  });
});
