/** `cr restore <core> [exe]`: restart the program of a core. */
import { type Command, Option } from "commander";
import { parseCpuList } from "../cpus/cpu-list.js";
import type { FdPlacement } from "../restore/fd-placement.js";
import type { Restored } from "../restore/restore.js";
import type { TcpPolicy } from "../state/tcp.js";
import { begunMs } from "./begun.js";
import { printJson, runVerb, say, write } from "./report.js";
import { skipOption } from "./skip.js";

interface Flags {
  readonly detach?: boolean;
  readonly stopped?: boolean;
  readonly lazy?: boolean;
  readonly cpus?: string;
  readonly pid?: "keep" | "new" | "ns";
  readonly trust?: boolean;
  readonly fd: readonly string[];
  readonly files: "rollback" | "keep";
  readonly tcp: TcpPolicy;
  readonly skip: readonly string[];
  readonly json?: boolean;
}

/** In the foreground the status is the program's, so failures of cr itself have one of their own. */
function failureStatus(flags: Flags): 1 | 125 {
  return flags.detach || flags.stopped ? 1 : 125;
}

export function register(program: Command): void {
  program
    .command("restore")
    .description("restart the program of a core file where it was saved")
    .argument(
      "<core>",
      "core or folder written by cr checkpoint, core of gcore or the kernel; - for a stream on standard input",
    )
    .argument("[exe]", "its executable (default: the one the core names)")
    .addOption(new Option("-d, --detach", "do not stay its parent: print the pid and leave").env("CR_DETACH"))
    .addOption(new Option("--stopped", "leave it stopped for a debugger; implies --detach").env("CR_STOPPED"))
    .addOption(
      new Option("--lazy", "start it at once and bring its memory when it is touched (root)").env("CR_LAZY"),
    )
    .addOption(new Option("--cpus <list>", "the only CPUs it may use, such as 0,2-3").env("CR_CPUS"))
    .addOption(
      new Option("--pid <which>", "its own pid, any, or its own in a pid namespace (default: its own)")
        .choices(["keep", "new", "ns"])
        .env("CR_PID"),
    )
    .addOption(new Option("--trust", "restore a core that belongs to another user").env("CR_TRUST"))
    .addOption(
      new Option("--fd <N=PATH|inherit|null>", "where descriptor N leads; may be repeated")
        .argParser((text: string, before: readonly string[]) => [...before, text])
        .default([], "none")
        .env("CR_FD"),
    )
    .addOption(
      new Option("--files <policy>", "put files back that grew since, or leave all alone")
        .choices(["rollback", "keep"])
        .default("rollback")
        .env("CR_FILES"),
    )
    .addOption(
      new Option(
        "--tcp <policy>",
        "connections to the outside: go on with kept ones, or let it find them closed",
      )
        .choices(["keep", "close", "refuse"])
        .default("keep")
        .env("CR_RESTORE_TCP"),
    )
    .addOption(skipOption("go on without this: what was left out at the checkpoint, cpu:avx512f"))
    .addOption(new Option("--json", "one JSON object (on standard error in the foreground)").env("CR_JSON"))
    .action((core: string, exe: string | undefined, flags: Flags) =>
      runVerb({ json: flags.json, failureStatus: failureStatus(flags) }, () => run(core, exe, flags)),
    );
}

async function run(core: string, exe: string | undefined, flags: Flags): Promise<void> {
  const [{ restoreOn }, { parseFdPlacement }] = await Promise.all([
    import("../supervise/restore-on.js"),
    import("../restore/fd-placement.js"),
  ]);
  const start =
    core === "-" ? (await import("../supervise/from-stream.js")).restoreStream : restoreOn.bind(null, core);
  const fds: FdPlacement[] = flags.fd.map(parseFdPlacement);
  const restored = await start({
    exe,
    detach: flags.detach ?? false,
    stopped: flags.stopped ?? false,
    lazy: flags.lazy ?? false,
    pid: flags.pid,
    trust: flags.trust ?? false,
    files: flags.files,
    tcp: flags.tcp,
    fds,
    skip: flags.skip,
    cpus: flags.cpus === undefined ? undefined : parseCpuList(flags.cpus),
  });
  tell(restored, flags);
  if (restored.foreground === null) return;
  using foreground = restored.foreground;
  process.exitCode = await foreground.finished();
}

/** In the foreground standard output is the program's own. */
function tell(restored: Restored, flags: Flags): void {
  const { pid, innerPid, processes, softErrors, totalMs, foreground } = restored;
  if (flags.json) {
    printJson(
      { pid, innerPid, ...(processes && { processes }), begunMs: begunMs(), totalMs, softErrors },
      foreground === null ? 1 : 2,
    );
    return;
  }
  for (const soft of softErrors) say(`warning: ${soft.message}`);
  if (foreground === null) write(`${pid}\n`);
}
