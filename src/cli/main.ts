/**
 * The command tree. Only the verb that was called is loaded, so that `cr --version` costs little more than
 * Node's own start. Each verb file exports `register(program)`: parse, call one operation, print.
 */
import { Command, CommanderError } from "commander";
import { VERSION } from "../version.js";
import { failUsage } from "./report.js";

type Verb = { register(program: Command): void };

/** Verbs in the order of the help page. */
export const VERBS: Readonly<Record<string, () => Promise<Verb>>> = {
  checkpoint: () => import("./checkpoint.js"),
  restore: () => import("./restore.js"),
  inspect: () => import("./inspect.js"),
  verify: () => import("./verify.js"),
  doctor: () => import("./doctor.js"),
  explain: () => import("./explain.js"),
  watch: () => import("./watch.js"),
};

/** The program with the verbs named, or with all of them. */
export async function buildProgram(names: readonly string[] = Object.keys(VERBS)): Promise<Command> {
  const program = new Command("cr")
    .description("Save a running Linux process into a core file and restart it from there")
    .version(VERSION)
    .showSuggestionAfterError()
    .exitOverride()
    .configureOutput({ outputError: () => {} });
  for (const name of names) (await VERBS[name]?.())?.register(program);
  return program;
}

async function main(argv: readonly string[]): Promise<void> {
  const verb = argv[2] ?? "";
  if (verb === "--version" || verb === "-V") {
    process.stdout.write(`${VERSION}\n`);
    return;
  }
  const program = await buildProgram(verb in VERBS ? [verb] : undefined);
  try {
    await program.parseAsync(argv);
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    if (error.exitCode !== 0) failUsage(error);
  }
}

await main(process.argv);
