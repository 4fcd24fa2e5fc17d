// Writes docs/cr.1 from the command tree of the built program: node docs/manual.mjs (after npm run build).
import { writeFileSync } from "node:fs";
import { manualPage } from "../dist/cli/manual.js";
import { buildProgram } from "../dist/cli/program.js";

writeFileSync(new URL("cr.1", import.meta.url), manualPage(await buildProgram()));
