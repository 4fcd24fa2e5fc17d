/** `cr inspect <core>`: what a core holds, whoever wrote it. */
import { statSync } from "node:fs";
import { type Command, Option } from "commander";
import { printJson, runVerb, write } from "./report.js";

export function register(program: Command): void {
  program
    .command("inspect")
    .description("show what a core holds: threads, maps with a picture of memory, notes, descriptors")
    .argument("<core>", "core or folder written by cr checkpoint, core of gcore or the kernel")
    .addOption(new Option("--json", "one JSON object on standard output").env("CR_JSON"))
    .action((core: string, options: { json?: boolean }) =>
      runVerb(options, () => inspect(core, options.json ?? false)),
    );
}

async function inspect(path: string, json: boolean): Promise<void> {
  if (statSync(path, { throwIfNoEntry: false })?.isDirectory()) {
    const { inspectTree } = await import("./inspect-tree.js");
    inspectTree(path, json);
    return;
  }
  const [{ openCore }, { summarize }] = await Promise.all([
    import("../core/reader.js"),
    import("./core-summary.js"),
  ]);
  using core = openCore(path);
  const summary = summarize(core);
  if (json) {
    printJson(summary);
    return;
  }
  const [{ coreText }, { charsetOf }] = await Promise.all([
    import("./core-text.js"),
    import("./memory-picture.js"),
  ]);
  write(coreText(summary, charsetOf(process.env)));
}
