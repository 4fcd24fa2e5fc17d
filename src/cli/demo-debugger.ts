/** The debugger's part in `cr demo`: the core that was restored is also one that gdb opens. */
import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { isErrno } from "../errors.js";
import type { CounterFacts } from "./demo-counter.js";
import { failed, type Telling } from "./demo-telling.js";

const run = promisify(execFile);
const TIMEOUT_MS = 20_000;
const WIDTH = 100;

/** Shows the backtrace of the counter's core and returns its frames; null where there is no gdb. */
export async function showBacktrace(
  tell: Telling,
  facts: CounterFacts,
  signal: AbortSignal,
): Promise<readonly string[] | null> {
  tell.heading("2. The same core in a debugger");
  tell.command("gdb -batch -ex backtrace counter core");
  const said = await backtrace(facts, signal);
  if (said === null) {
    tell.line("gdb is not here; with it (apt-get install gdb) you would see the counter's calls.");
    return null;
  }
  // gdb greets with the innermost frame before it is asked.
  const frames = said
    .slice(said.lastIndexOf("#0 "))
    .split("\n")
    .filter((line) => line.startsWith("#"));
  for (const frame of frames) tell.line(frame.length > WIDTH ? `${frame.slice(0, WIDTH - 1)}…` : frame);
  const number = Number(/ count \(number=(\d+), /.exec(said)?.[1]);
  // It was about to print the next number, or slept after the last one.
  const fits = number === facts.snapshotAfter || number === facts.snapshotAfter + 1;
  tell.proof(
    fits && / main \(argc=4, /.test(said),
    `gdb finds it in the call of count() with number ${number}`,
  );
  return frames;
}

async function backtrace({ exe, core }: CounterFacts, signal: AbortSignal): Promise<string | null> {
  const args = ["-nx", "-batch", "-ex", "backtrace", exe, core];
  // Nothing is to be asked of servers in the network.
  const env = { ...process.env, DEBUGINFOD_URLS: "", LC_ALL: "C" };
  try {
    return (await run("gdb", args, { env, timeout: TIMEOUT_MS, signal })).stdout;
  } catch (error) {
    if (isErrno(error, "ENOENT")) return null;
    signal.throwIfAborted();
    throw failed(`gdb does not open the core: ${(error as Error).message.trim()}`);
  }
}
