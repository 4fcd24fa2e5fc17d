/** What commands have in common that write one core from another: where to, and how they tell of it. */
import { type Command, Option } from "commander";
import { printJson, write } from "./report.js";
import { formatBytes } from "./size.js";

/** Flags of such a command. */
export interface WriteFlags {
  readonly output: string;
  readonly force?: boolean;
  readonly json?: boolean;
}

/** Adds the options; `what` says what is written. */
export function withWriteOptions(command: Command, what: string): Command {
  return command
    .addOption(new Option("-o, --output <file>", what).env("CR_OUTPUT").makeOptionMandatory())
    .addOption(new Option("--force", "replace an existing file").env("CR_FORCE"))
    .addOption(new Option("--json", "one JSON object on standard output").env("CR_JSON"));
}

/** Tells of the core that was written; `how` says in a word what it is now. */
export function tellWritten(
  result: { readonly core: string; readonly sizeBytes: number },
  { json = false }: WriteFlags,
  how: string,
): void {
  if (json) printJson(result);
  else write(`wrote ${result.core}: ${formatBytes(result.sizeBytes)}, ${how}\n`);
}
