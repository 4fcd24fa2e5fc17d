/** `cr export <core>`: a plain whole core, which debuggers open, from a compressed one, a stream or a delta. */
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
    .command("export")
    .description(
      "write a core that is compressed, streamed or a delta as a plain whole one, which debuggers open",
    )
    .argument("<core>", "core written by cr checkpoint, or - for a stream on standard input")
    .addOption(new Option("-o, --output <file>", "the plain core").env("CR_OUTPUT").makeOptionMandatory())
    .addOption(new Option("--force", "replace an existing file").env("CR_FORCE"))
    .addOption(new Option("--json", "one JSON object on standard output").env("CR_JSON"))
    .action((core: string, flags: Flags) => runVerb(flags, () => run(core, flags)));
}

async function run(path: string, { output, force = false, json = false }: Flags): Promise<void> {
  const { mergeCore } = await import("../supervise/merge.js");
  if (path !== "-") return tell(mergeCore(path, output, { force }), json);
  const { fromStream } = await import("../supervise/from-stream.js");
  tell(await fromStream(async (received) => mergeCore(received.path, output, { force })), json);
}

function tell(result: { readonly core: string; readonly sizeBytes: number }, json: boolean): void {
  if (json) printJson(result);
  else process.stdout.write(`wrote ${result.core}: ${formatBytes(result.sizeBytes)}, plain\n`);
}
