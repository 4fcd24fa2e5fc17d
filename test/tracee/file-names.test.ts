/** Names of files that are only given where there is none, changed for one another, or given to what has none. */
import { closeSync, constants, openSync, readFileSync, writeFileSync, writeSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { nameFile, renameAs } from "../../src/tracee/file-names.js";
import { withScene } from "../harness/scene.js";

/** O_TMPFILE with O_DIRECTORY (open(2)), which Node does not name. */
const O_TMPFILE = 0o20200000;

test("a new name is not taken from another file, unless it is to be replaced; two can be exchanged", () =>
  withScene(async ({ folder }) => {
    const [a, b, c] = ["a", "b", "name with ü and blanks"].map((name) => join(folder, name)) as [
      string,
      string,
      string,
    ];
    writeFileSync(a, "a");
    writeFileSync(b, "b");
    expect(() => renameAs(a, b, "new")).toThrow("EEXIST");
    expect([a, b].map((path) => readFileSync(path, "utf8"))).toEqual(["a", "b"]);
    renameAs(a, b, "exchange");
    expect([a, b].map((path) => readFileSync(path, "utf8"))).toEqual(["b", "a"]);
    renameAs(a, b, "replace");
    expect(readFileSync(b, "utf8")).toBe("b");
    renameAs(b, c, "new");
    expect(readFileSync(c, "utf8")).toBe("b");
    expect(() => renameAs(a, c, "replace")).toThrow("ENOENT");
    expect(() => renameAs(c, a, "exchange")).toThrow("ENOENT");
  }));

test("a file without a name gets one, but nobody else's", () =>
  withScene(async ({ folder }) => {
    const path = join(folder, "named");
    const fd = openSync(folder, constants.O_RDWR | O_TMPFILE, 0o600);
    writeSync(fd, "content");
    nameFile(fd, path);
    expect(readFileSync(path, "utf8")).toBe("content");
    expect(() => nameFile(fd, path)).toThrow("EEXIST");
    closeSync(fd);
  }));
