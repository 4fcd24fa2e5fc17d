/**
 * The command tree: which verbs there are, each loaded only when it is wanted, so that `cr --version` costs little
 * more than Node's own start. Each verb file exports `register(program)`: parse, call one operation, print.
 */
import { Command, type Option } from "commander";
import { VERSION } from "../version.js";
import type { BuildProgram } from "./command-tree.js";
import { write } from "./report.js";

type Verb = { register(program: Command, build: BuildProgram): void };

/** Verbs in the order of the help page. */
export const VERBS: Readonly<Record<string, () => Promise<Verb>>> = {
  checkpoint: () => import("./checkpoint.js"),
  restore: () => import("./restore.js"),
  inspect: () => import("./inspect.js"),
  verify: () => import("./verify.js"),
  export: () => import("./export.js"),
  merge: () => import("./merge.js"),
  doctor: () => import("./doctor.js"),
  explain: () => import("./explain.js"),
  watch: () => import("./watch.js"),
  demo: () => import("./demo.js"),
  completion: () => import("./completion.js"),
};

/** The program with the verbs named, or with all of them. */
export async function buildProgram(names: readonly string[] = Object.keys(VERBS)): Promise<Command> {
  const program = new Command("cr")
    .description("Save a running Linux process into a core file and restart it from there")
    .version(VERSION)
    .showSuggestionAfterError()
    .exitOverride()
    .configureOutput({
      writeOut: (text) => write(text),
      writeErr: (text) => write(text, 2),
      outputError: () => {},
    });
  for (const name of names) (await VERBS[name]?.())?.register(program, () => buildProgram());
  for (const { options } of program.commands) options.forEach(heedNo);
  return program;
}

/** `CR_KILL=0` means no; commander takes a flag's variable for yes, whatever its value. */
function heedNo(option: Option): void {
  const name = option.envVar;
  if (name === undefined || !option.isBoolean()) return;
  if (/^(0|no|off|false)?$/i.test(process.env[name] ?? "yes")) delete process.env[name];
}
