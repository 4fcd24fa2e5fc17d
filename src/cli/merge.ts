/** `cr merge <delta>`: a whole core from one that holds only what changed, and the earlier ones it builds on. */
import { type Command, Option } from "commander";
import { printJson, runVerb } from "./report.js";
import { formatBytes } from "./size.js";

interface Flags {
  readonly output: string;
  readonly force?: boolean;
  readonly json?: boolean;
}

export function register(program: Command): void {
  program
    .command("merge")
    .description("make a core whole that builds on earlier ones, so that it needs them no more")
    .argument("<delta>", "core of cr watch, or of cr checkpoint --parent")
    .addOption(new Option("-o, --output <file>", "the whole core").env("CR_OUTPUT").makeOptionMandatory())
    .addOption(new Option("--force", "replace an existing file").env("CR_FORCE"))
    .addOption(new Option("--json", "one JSON object on standard output").env("CR_JSON"))
    .action((delta: string, flags: Flags) => runVerb(flags, () => run(delta, flags)));
}

async function run(path: string, { output, force = false, json = false }: Flags): Promise<void> {
  const { mergeCore } = await import("../supervise/merge.js");
  const merged = mergeCore(path, output, { force });
  if (json) printJson(merged);
  else process.stdout.write(`wrote ${merged.core}: ${formatBytes(merged.sizeBytes)}, whole\n`);
}
