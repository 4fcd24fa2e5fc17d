/**
 * `cr demo`: the whole story in half a minute, on real programs. Exit status 0 only if every claim on the screen was
 * checked and held; whatever ends it, nothing that it started is left.
 */
import { type Command, Option } from "commander";
import { playCounter } from "./demo-counter.js";
import { showBacktrace } from "./demo-debugger.js";
import { Stage } from "./demo-stage.js";
import { playSystem } from "./demo-system.js";
import { telling } from "./demo-telling.js";
import { printJson, runVerb, say } from "./report.js";

/** Signals that end the demo early, with the status a shell gives for them. */
const ENDING = { SIGINT: 130, SIGTERM: 143, SIGHUP: 129 } as const;

export function register(program: Command): void {
  program
    .command("demo")
    .description("show it: programs are saved, killed and brought back, in half a minute")
    .addOption(new Option("--json", "only one JSON object with the facts on standard output").env("CR_JSON"))
    .action((options: { json?: boolean }) => runVerb(options, () => demo(options.json ?? false)));
}

async function demo(json: boolean): Promise<void> {
  const abort = new AbortController();
  const onSignal = (signal: keyof typeof ENDING): void => {
    process.exitCode = ENDING[signal];
    abort.abort();
  };
  for (const signal of Object.keys(ENDING)) process.on(signal, onSignal);
  try {
    await play(json, abort.signal);
  } catch (error) {
    if (!abort.signal.aborted) throw error;
    say("stopped; everything it had started is gone");
  } finally {
    for (const signal of Object.keys(ENDING)) process.off(signal, onSignal);
  }
}

async function play(json: boolean, signal: AbortSignal): Promise<void> {
  const begin = performance.now();
  const tell = telling({ silent: json });
  await using stage = new Stage(signal);
  const counter = await playCounter(stage, tell);
  const backtrace = await showBacktrace(tell, counter, signal);
  const system = await playSystem(stage, tell);
  const totalMs = performance.now() - begin;
  tell.heading(
    `All of this was checked, in ${Math.round(totalMs / 1000)} seconds. Next: cr checkpoint --help`,
  );
  if (!json) return;
  const { core: _core, exe: _exe, ...facts } = counter;
  printJson({ counter: { ...facts, backtrace }, system, totalMs });
}
