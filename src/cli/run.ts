/**
 * A run of `cr`: finds the verb, loads only that one, and turns what commander says into an exit status. Entry of the
 * bundle (build/bundle.mjs); nothing happens by loading it.
 */
import { CommanderError } from "commander";
import { VERSION } from "../version.js";
import { noteBegun } from "./begun.js";
import { buildProgram, VERBS } from "./program.js";
import { failUsage, write } from "./report.js";

/** Node's own status for a program that waits for what can no longer come. */
const UNSETTLED = 13;

/**
 * Runs a command line; the process ends with its exit status. Never 0 when it got stuck. `begunNs` is when the launcher
 * began, on CLOCK_MONOTONIC.
 */
export function runToEnd(argv: readonly string[], begunNs = process.hrtime.bigint()): void {
  noteBegun(begunNs);
  const stuck = (): void => {
    process.exitCode ??= UNSETTLED;
  };
  process.once("exit", stuck);
  // A failure is a defect: unhandled, it ends the process with its stack.
  void run(argv).then(() => process.off("exit", stuck));
}

async function run(argv: readonly string[]): Promise<void> {
  const verb = argv[2] ?? "";
  if (verb === "--version" || verb === "-V") {
    write(`${VERSION}\n`);
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
