/** The entry of `cr`: finds the verb, loads only that one, and turns what commander says into an exit status. */
import { CommanderError } from "commander";
import { VERSION } from "../version.js";
import { buildProgram, VERBS } from "./program.js";
import { failUsage } from "./report.js";

async function main(argv: readonly string[]): Promise<void> {
  const verb = argv[2] ?? "";
  if (verb === "--version" || verb === "-V") {
    process.stdout.write(`${VERSION}\n`);
    return;
  }
  const program = await buildProgram(Object.hasOwn(VERBS, verb) ? [verb] : undefined);
  try {
    await program.parseAsync(argv);
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    if (error.exitCode !== 0) failUsage(error);
  }
}

await main(process.argv);
