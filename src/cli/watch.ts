/**
 * `cr watch`: periodic checkpoints of a running program. A line a generation on standard output, with --json an
 * object a line; news and failures on standard error. SIGINT or SIGTERM ends it after the checkpoint under way, a
 * second one at once.
 */
import { basename } from "node:path";
import { type Command, InvalidArgumentError, Option } from "commander";
import { checkpoint } from "../checkpoint/checkpoint.js";
import { Lineage } from "../checkpoint/lineage.js";
import type { RestartLedger } from "../checkpoint/restarted-calls.js";
import { CrError } from "../errors.js";
import { cronSchedule, everySchedule, type Schedule } from "../supervise/schedule.js";
import { type WatchEvent, type WatchSummary, watch } from "../supervise/watch.js";
import { addCopyOptions, type CopyFlags, copyOptionsOf } from "./copy-options.js";
import { parseCount, parseDurationMs, parsePid } from "./duration.js";
import { printJson, reportError, runVerb, say, write } from "./report.js";
import { formatBytes, formatMs } from "./size.js";
import { skipOption } from "./skip.js";

interface WatchFlags extends CopyFlags {
  readonly every?: Schedule;
  readonly cron?: Schedule;
  readonly name?: string;
  readonly keepLast: number;
  readonly full?: boolean;
  readonly files?: "snapshot";
  readonly skip: readonly string[];
  readonly timeout?: number;
  readonly json?: boolean;
}

export function register(program: Command): void {
  const verb = program
    .command("watch")
    .description("checkpoint a running process again and again, keeping the newest cores")
    .argument("<pid>", "the process to watch", parsePid)
    .addOption(
      new Option("--every <time>", "now and then each period: 500ms, 5s, 2m, 1h")
        .env("CR_EVERY")
        .argParser((text) => asUsage(() => everySchedule(parseDurationMs(text)))),
    )
    .addOption(
      new Option("--cron <pattern>", "at these times, seconds first: '*/5 * * * * *'")
        .env("CR_CRON")
        .argParser((text) => asUsage(() => cronSchedule(text))),
    )
    .addOption(new Option("--name <job>", "name of the job, default <comm>-<pid>").env("CR_NAME"))
    .addOption(
      new Option("--keep-last <n>", "how many cores to keep, besides those that they build on")
        .env("CR_KEEP_LAST")
        .argParser(parseCount)
        .default(3),
    )
    .addOption(
      new Option("--full", "whole cores only, and no tracking of the program between them").env("CR_FULL"),
    )
    .addOption(
      new Option("--files <policy>", "keep the files it can write to in every core, to be put back whole")
        .choices(["snapshot"])
        .env("CR_CHECKPOINT_FILES"),
    );
  addCopyOptions(verb)
    .addOption(skipOption("leave this out, where it cannot be saved: fd:7, timer:2"))
    .addOption(
      new Option("--timeout <time>", "how long the process may take to stop (default 30s)")
        .env("CR_TIMEOUT")
        .argParser(parseDurationMs),
    )
    .addOption(new Option("--json", "one JSON object a line on standard output").env("CR_JSON"))
    .action((pid: number, flags: WatchFlags, command: Command) => {
      // A flag on the command line wins over the variable of the other one.
      const typed = (["every", "cron"] as const).filter(
        (name) => command.getOptionValueSource(name) === "cli",
      );
      const chosen = typed.length > 0 ? typed : (["every", "cron"] as const);
      const [schedule, second] = chosen.flatMap((name) => flags[name] ?? []);
      if (schedule === undefined || second !== undefined) {
        command.error("error: say when: either --every 5s or --cron '*/5 * * * * *'");
      }
      return runVerb(flags, () => runWatch(pid, schedule, flags));
    });
}

async function runWatch(pid: number, schedule: Schedule, flags: WatchFlags): Promise<void> {
  const { name, keepLast, timeout, files, skip, full = false, json = false } = flags;
  using lineage = new Lineage();
  const stop = new AbortController();
  const onSignal = (): void => {
    // Without handlers the next signal ends cr at once, which the program does not notice.
    process.off("SIGINT", onSignal).off("SIGTERM", onSignal);
    stop.abort();
  };
  process.on("SIGINT", onSignal).on("SIGTERM", onSignal);
  try {
    const options = {
      pid,
      schedule,
      retention: { keepLast },
      signal: stop.signal,
      onEvent: json ? tellJson : tell,
      meanwhile: () => lineage.rehearse(),
      ...(name !== undefined && { name }),
      ...(timeout !== undefined && { timeoutMs: timeout }),
    };
    const ledger: RestartLedger = new Map();
    const kept = { ...(!full && { lineage }), ...(files !== undefined && { files }) };
    const more = { ...copyOptionsOf(flags), skip, ledger, ...kept };
    const summary = await watch(options, (pid, asked) => checkpoint(pid, { ...asked, ...more }));
    if (json) printJson({ event: "ended", ...summary });
    else tellSummary(summary);
    if (summary.taken === 0 && summary.failed > 0) process.exitCode = 1;
  } finally {
    process.off("SIGINT", onSignal).off("SIGTERM", onSignal);
  }
}

function tell(event: WatchEvent): void {
  if (event.event === "started") {
    say(`watching process ${event.pid} as job ${event.job} in ${event.folder}`);
  } else if (event.event === "failed") {
    reportError(event.error, {});
  } else {
    const { core, stopMs, totalMs, bytes, parent } = event;
    const since = parent === undefined ? "" : ` since ${basename(parent)}`;
    const times = `stopped for ${formatMs(stopMs)} of ${formatMs(totalMs)}`;
    write(`${basename(core)}  ${formatBytes(bytes)}${since}  ${times}\n`);
  }
}

function tellJson(event: WatchEvent): void {
  if (event.event !== "failed") {
    printJson(event);
    return;
  }
  const { code, message, hint, data } = asCrError(event.error);
  printJson({ event: "failed", error: { code, message, ...(hint && { hint }), ...(data && { data }) } });
}

function tellSummary({ ended, taken, failed, lastCore, pid }: WatchSummary): void {
  const cause = ended === "target" ? `process ${pid} ended` : "stopped";
  const failures = failed > 0 ? `, ${failed} failed` : "";
  say(`${cause}: ${taken} ${taken === 1 ? "checkpoint" : "checkpoints"} taken${failures}`);
  if (lastCore !== null) say(`newest: ${lastCore}`);
}

/** Makes wrong usage found below the command line commander's own, so that it ends with status 2. */
function asUsage<T>(parse: () => T): T {
  try {
    return parse();
  } catch (error) {
    if (error instanceof CrError) throw new InvalidArgumentError(`${error.message}; ${error.hint}.`);
    throw error;
  }
}

function asCrError(error: unknown): CrError {
  return error instanceof CrError ? error : new CrError("INTERNAL", String(error), { cause: error });
}
