/** Builds the programs of this folder into a place of the test's own, so that test files do not race for it. */
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll } from "vitest";

const HERE = fileURLToPath(new URL(".", import.meta.url));
const FIXTURES = fileURLToPath(new URL("../../fixtures", import.meta.url));

/** Builds `NAME.c` before the tests of a file; the function returned tells where the program is. */
export function buildProgram(name: "places" | "pages"): () => string {
  let folder = "";
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), "recore-built-"));
    const flags = [
      "-O1",
      "-g",
      "-std=gnu11",
      "-D_GNU_SOURCE",
      "-Wall",
      "-Wextra",
      "-Werror",
      `-I${FIXTURES}`,
    ];
    execFileSync("gcc", [...flags, "-o", join(folder, name), join(HERE, `${name}.c`)]);
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));
  return () => join(folder, name);
}
