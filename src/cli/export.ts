/** `cr export <core>`: a plain whole core, which debuggers open, from a compressed one, a stream or a delta. */
import type { Command } from "commander";
import { runVerb } from "./report.js";
import { tellWritten, type WriteFlags, withWriteOptions } from "./written.js";

export function register(program: Command): void {
  const command = program
    .command("export")
    .description(
      "write a core that is compressed, streamed or a delta as a plain whole one, which debuggers open",
    )
    .argument("<core>", "core written by cr checkpoint, or - for a stream on standard input");
  withWriteOptions(command, "the plain core").action((core: string, flags: WriteFlags) =>
    runVerb(flags, () => run(core, flags)),
  );
}

async function run(path: string, flags: WriteFlags): Promise<void> {
  const { output, force = false } = flags;
  const { mergeCore } = await import("../supervise/merge.js");
  if (path !== "-") return tellWritten(mergeCore(path, output, { force }), flags, "plain");
  const { fromStream } = await import("../supervise/from-stream.js");
  const result = await fromStream(async (received) => mergeCore(received.path, output, { force }));
  tellWritten(result, flags, "plain");
}
