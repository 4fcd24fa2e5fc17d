/** `cr checkpoint <pid>`: save a running process into a core. */
import { isatty } from "node:tty";
import { type Command, Option } from "commander";
import type { CheckpointOptions, CheckpointResult } from "../checkpoint/checkpoint.js";
import { CrError } from "../errors.js";
import type { TcpPolicy } from "../state/tcp.js";
import { addCopyOptions, type CopyFlags, copyOptionsOf } from "./copy-options.js";
import { parseDurationMs, parsePid } from "./duration.js";
import { type Output, printJson, runVerb, say, write } from "./report.js";
import { formatBytes, formatMs } from "./size.js";
import { skipOption } from "./skip.js";

interface Flags extends CopyFlags {
  readonly output?: string;
  readonly force?: boolean;
  readonly kill?: boolean;
  readonly stop?: boolean;
  readonly tree: boolean;
  readonly files?: "snapshot";
  readonly parent?: string;
  readonly selfContained?: boolean;
  readonly tcp?: TcpPolicy;
  readonly tcpHold: number;
  readonly skip: readonly string[];
  readonly strict?: boolean;
  readonly timeout: number;
  readonly json?: boolean;
}

export function register(program: Command): void {
  const verb = program
    .command("checkpoint")
    .description(
      "save a running process into a core file, with children into a folder; it goes on unless told otherwise",
    )
    .argument("<pid>", "process to save", parsePid)
    .addOption(
      new Option(
        "-o, --output <path>",
        "the core, or the folder for a tree; - streams it (default: core.<pid> here)",
      ).env("CR_OUTPUT"),
    )
    .addOption(new Option("--force", "replace an existing core").env("CR_FORCE"))
    .addOption(
      new Option("--kill", "kill the program once the core is durable").env("CR_KILL").conflicts("stop"),
    )
    .addOption(new Option("--stop", "leave the program stopped (SIGSTOP)").env("CR_STOP"))
    .addOption(
      new Option("--no-tree", "refuse a program with children instead of saving them with it").env(
        "CR_NO_TREE",
      ),
    )
    .addOption(
      new Option("--files <policy>", "keep the files it can write to in the core, to be put back whole")
        .choices(["snapshot"])
        .env("CR_CHECKPOINT_FILES"),
    );
  addCopyOptions(verb)
    .addOption(parentOption())
    .addOption(
      new Option(
        "--self-contained",
        "store mapped programs and libraries whole: debuggers then need no files",
      ).env("CR_SELF_CONTAINED"),
    )
    .addOption(
      new Option(
        "--tcp <policy>",
        "connections to the outside: keep them with --kill, have them closed, or refuse",
      )
        .choices(["keep", "close", "refuse"])
        .env("CR_TCP"),
    )
    .addOption(
      new Option("--tcp-hold <time>", "how long packets of kept connections are held for a restore")
        .default(60_000, "60s")
        .argParser(parseDurationMs)
        .env("CR_TCP_HOLD"),
    )
    .addOption(skipOption("leave this out, where it cannot be saved: fd:7, timer:2"))
    .addOption(new Option("--strict", "refuse what can only be saved with a soft error").env("CR_STRICT"))
    .addOption(
      new Option("--timeout <time>", "how long the program may take to stop")
        .default(30_000, "30s")
        .argParser(parseDurationMs)
        .env("CR_TIMEOUT"),
    )
    .addOption(new Option("--json", "one JSON object on standard output").env("CR_JSON"))
    .action((pid: number, flags: Flags) => runVerb(flags, () => run(pid, flags)));
}

async function run(pid: number, flags: Flags): Promise<void> {
  const isStream = flags.output === "-";
  if (isStream) requireReader(flags);
  const options: CheckpointOptions = {
    ...(flags.output !== undefined && { output: flags.output }),
    ...(flags.files !== undefined && { files: flags.files }),
    ...(flags.tcp !== undefined && { tcp: flags.tcp }),
    tcpHoldMs: flags.tcpHold,
    force: flags.force ?? false,
    ...(flags.parent !== undefined && { parent: flags.parent }),
    selfContained: flags.selfContained ?? false,
    tree: flags.tree,
    skip: flags.skip,
    strict: flags.strict ?? false,
    after: flags.kill ? "kill" : flags.stop ? "stop" : "continue",
    timeoutMs: flags.timeout,
    ...copyOptionsOf(flags),
  };
  const { checkpoint } = await import("../checkpoint/checkpoint.js");
  const result = await checkpoint(pid, options);
  // Where standard output is the stream, news are not.
  const news = isStream ? 2 : 1;
  if (flags.json) printJson(result, news);
  else tell(result, { after: options.after, news });
}

/** A stream is for a program; and what became of it there is not known here. */
function requireReader({ kill, parent }: Flags): void {
  if (parent !== undefined) {
    throw new CrError("USAGE", "--parent with -o -: a stream holds a whole core", {
      hint: "leave out --parent",
    });
  }
  if (kill) {
    throw new CrError("USAGE", "--kill with -o -: nobody can tell here whether the core arrives", {
      hint: "use --stop, and kill the program when the other side has it",
    });
  }
  if (!isatty(1)) return;
  throw new CrError("USAGE", "-o - writes the core to standard output, which is a terminal", {
    hint: "send it somewhere: cr checkpoint PID -o - | ssh HOST cr restore -",
  });
}

function parentOption(): Option {
  const what = "an earlier core of the process: store only what differs from it";
  return new Option("--parent <core>", what).env("CR_PARENT");
}

const OUTCOMES = { kill: "and killed it", stop: "and left it stopped", continue: "it goes on" };

function tell(
  result: CheckpointResult,
  { after, news }: { readonly after: CheckpointOptions["after"]; readonly news: Output },
): void {
  const others = result.processes - 1;
  const family = others === 0 ? "" : ` and ${others} ${others === 1 ? "descendant" : "descendants"}`;
  const where = result.core === "-" ? "to standard output" : `in ${result.core}`;
  write(
    `saved ${result.name} (process ${result.pid}${family}) ${where}: ${formatBytes(result.bytes)}, ` +
      `stopped for ${formatMs(result.stopMs)} (${result.mode}), ${formatMs(result.totalMs)} in all; ` +
      `${OUTCOMES[after ?? "continue"]}\n`,
    news,
  );
  for (const soft of result.softErrors) say(`warning: ${soft.message}`);
}
