/**
 * Act two of `cr demo`: an unmodified program of the system is checkpointed in the middle of its work, killed with
 * SIGKILL and restored. Its output is compared, byte for byte, with that of an undisturbed run beside it.
 */
import { spawnSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { pidFlags, restoredPid, savedOutputBytes } from "./demo-restore.js";
import { type Actor, follow, type Stage, wholeLines } from "./demo-stage.js";
import type { Telling } from "./demo-telling.js";
import { formatMs } from "./size.js";

interface Program {
  readonly argv: readonly string[];
  readonly task: string;
  /** Its standard input: some seconds of work, LINES lines of output, each of which begins with another number. */
  readonly source: string;
}

const LINES = 34;
/** Lines after which it is checkpointed, and how many more it writes before it is killed. */
const SAVED_AFTER = 10;
const MORE = 7;

const BC = `for (n = 1; n <= ${LINES}; n++) { scale = 500 + 10 * n; print scale, " "; 4 * a(1) }
`;
const PYTHON = `x = 1
for n in range(1, ${LINES} + 1):
    for i in range(200000):
        x = (x * 6364136223846793005 + i) % (10 ** 60 + 7)
    print(n, x, flush=True)
`;
const PERL = `$| = 1; my $x = 1;
for my $n (1 .. ${LINES}) {
  $x = ($x * 1103515245 + $_) % 2147483648 for 1 .. 900000;
  print "$n $x\\n";
}
`;

/** In order of preference; perl is part of every Debian. */
const PROGRAMS: readonly Program[] = [
  { argv: ["bc", "-l"], task: "computes pi to more and more digits", source: BC },
  { argv: ["python3", "-"], task: "computes a long chain of numbers", source: PYTHON },
  { argv: ["perl", "-"], task: "computes a long chain of numbers", source: PERL },
];

export interface SystemFacts {
  readonly program: string;
  readonly pid: number;
  readonly stopMs: number;
  readonly restoredPid: number;
  /** Lines it had written at the checkpoint, when it was killed, and in the end. */
  readonly savedAfter: number;
  readonly killedAfter: number;
  readonly lines: number;
}

/** Plays it; null when none of the programs is here. DEMO_FAILED when anything on screen is not so. */
export async function playSystem(stage: Stage, tell: Telling): Promise<SystemFacts | null> {
  tell.heading("3. A program of the system, killed in the middle of its work");
  const program = PROGRAMS.find(({ argv: [name = ""] }) => isHere(name));
  if (program === undefined) {
    tell.line("Neither bc nor python3 nor perl is here; apt-get install bc brings one.");
    return null;
  }
  const name = program.argv[0] ?? "";
  const input = join(stage.folder, "source");
  writeFileSync(input, program.source);
  const alone = await stage.start(program.argv, { input, output: join(stage.folder, "alone.txt") });
  const actor = await stage.start(program.argv, { input, output: join(stage.folder, "output.txt") });
  tell.line(`${name} ${program.task}. It is process ${actor.pid}; a second one runs undisturbed beside it.`);
  const { core, stopMs, killedAfter } = await saveAndKill(stage, tell, actor);
  const { pid: secondPid, savedAfter } = await bringBack(stage, tell, { core, output: actor.output });
  const status = await alone.ended;
  const whole = readFileSync(alone.output);
  const lines = wholeLines(alone.output).length;
  const same = status === 0 && lines === LINES && whole.equals(readFileSync(actor.output));
  tell.proof(
    same,
    `all ${whole.length} bytes of its output are those of the undisturbed run; it ended with status 0`,
  );
  return { program: name, pid: actor.pid, stopMs, restoredPid: secondPid, savedAfter, killedAfter, lines };
}

function isHere(name: string): boolean {
  return spawnSync("sh", ["-c", 'command -v "$0"', name], { stdio: "ignore" }).status === 0;
}

interface Saved {
  readonly core: string;
  readonly stopMs: number;
  readonly killedAfter: number;
}

/** Checkpoints it once it has done a part of its work, lets it go on for a while, and kills it. */
async function saveAndKill(stage: Stage, tell: Telling, actor: Actor): Promise<Saved> {
  const core = join(stage.folder, `core.${actor.pid}`);
  const show = follow(tell, actor.output);
  await stage.until(`${SAVED_AFTER} lines are written`, () => show() >= SAVED_AFTER || undefined);
  tell.command(`cr checkpoint ${actor.pid}`);
  let stopMs = 0;
  const checkpoint = stage.cr(["checkpoint", `${actor.pid}`, "-o", core], (result) => {
    stopMs = Number(result.stopMs);
  });
  await stage.finish(checkpoint, show);
  tell.words(`[saved, ${formatMs(stopMs)}]`);
  const enough = show() + MORE;
  await stage.until(`${MORE} more lines are written`, () => show() >= enough || undefined);
  process.kill(actor.pid, "SIGKILL");
  await actor.ended;
  const killedAfter = show();
  tell.words("Killed");
  return { core, stopMs, killedAfter };
}

async function bringBack(
  stage: Stage,
  tell: Telling,
  { core, output }: { core: string; output: string },
): Promise<{ pid: number; savedAfter: number }> {
  const offset = savedOutputBytes(core);
  const savedAfter = wholeLines(output).length - wholeLines(output, offset).length;
  const flags = pidFlags(tell);
  tell.command(["cr restore", basename(core), ...flags].join(" "));
  const restore = stage.cr(["restore", core, ...flags]);
  const pid = await restoredPid(stage, restore);
  await stage.finish(restore, follow(tell, output, offset));
  return { pid, savedAfter };
}
