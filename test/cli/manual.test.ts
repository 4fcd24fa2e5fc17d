/** docs/cr.1 is what the command tree says today. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { manualPage } from "../../src/cli/manual.js";
import { buildProgram } from "../../src/cli/program.js";
import { ROOT } from "../tidy/sources.js";

test("the manual page is up to date (node docs/manual.mjs writes it)", async () => {
  expect(readFileSync(join(ROOT, "docs/cr.1"), "utf8")).toBe(manualPage(await buildProgram()));
});
