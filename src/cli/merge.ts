/** `cr merge <delta>`: a whole core from one that holds only what changed, and the earlier ones it builds on. */
import type { Command } from "commander";
import { runVerb } from "./report.js";
import { tellWritten, type WriteFlags, withWriteOptions } from "./written.js";

export function register(program: Command): void {
  const command = program
    .command("merge")
    .description("make a core whole that builds on earlier ones, so that it needs them no more")
    .argument("<delta>", "core of cr watch, or of cr checkpoint --parent");
  withWriteOptions(command, "the whole core").action((delta: string, flags: WriteFlags) =>
    runVerb(flags, () => run(delta, flags)),
  );
}

async function run(path: string, flags: WriteFlags): Promise<void> {
  const { mergeCore } = await import("../supervise/merge.js");
  const { output, force = false } = flags;
  tellWritten(mergeCore(path, output, { force }), flags, "whole");
}
