/** `cr explain CODE`: the paragraph of an error code. */
import { type Command, Option } from "commander";
import { ERROR_TABLE } from "../error-table.js";
import { CrError } from "../errors.js";
import { printJson, runVerb, write } from "./report.js";

export function register(program: Command): void {
  program
    .command("explain")
    .description("say what an error code means and what to do")
    .argument("[code]", "a code as an error message shows it; all codes when left out")
    .addOption(new Option("--json", "one JSON object on standard output").env("CR_JSON"))
    .action((code: string | undefined, options: { json?: boolean }) =>
      runVerb(options, () => explain(code, options.json ?? false)),
    );
}

function explain(code: string | undefined, json: boolean): void {
  const table: Readonly<Record<string, string>> = ERROR_TABLE;
  const wanted = code?.toUpperCase();
  if (wanted !== undefined && !(wanted in table)) {
    throw new CrError("USAGE", `no error code is called ${code}`, { hint: "cr explain lists all codes" });
  }
  const entries = Object.entries(table).filter(([name]) => wanted === undefined || name === wanted);
  if (json) {
    printJson(Object.fromEntries(entries));
    return;
  }
  for (const [name, text] of entries) write(`${name}\n  ${text}\n`);
}
