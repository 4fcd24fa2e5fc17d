/**
 * Act one of `cr demo`: a counter is watched by cron, killed by Ctrl-C, and restored from its newest core on another
 * CPU. What it wrote before and after is compared with what an undisturbed run writes.
 */
import { readdirSync } from "node:fs";
import { basename, join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseCpuList } from "../cpus/cpu-list.js";
import { cpuInventory } from "../host/cpu.js";
import { lastCpu } from "../host/process-cpu.js";
import { statusLine } from "../host/process-status.js";
import { pidFlags, restoredPid, savedOutputBytes } from "./demo-restore.js";
import { type Actor, follow, requireDone, type Stage, throwIfError, wholeLines } from "./demo-stage.js";
import { failed, type Telling } from "./demo-telling.js";
import { formatMs } from "./size.js";

const COUNTER = fileURLToPath(new URL("../../native/demo/counter", import.meta.url));
const LAST = 60;
const PAUSE_MS = 100;
const SNAPSHOTS = 3;
/** Numbers it may print on after the last snapshot, so that there is something to take back. */
const MORE = 5;

export interface CounterFacts {
  readonly pid: number;
  readonly snapshots: number;
  /** How long each snapshot stopped it, in ms. */
  readonly stopMs: readonly number[];
  /** The last number it printed before it was killed, and the last one before the newest snapshot. */
  readonly killedAfter: number;
  readonly snapshotAfter: number;
  readonly restoredPid: number;
  /** The CPU before, and the one it was restored on; null on a machine with one CPU. */
  readonly cpu: number;
  readonly otherCpu: number | null;
  readonly core: string;
  readonly exe: string;
}

/** Plays it; DEMO_FAILED when anything on screen is not so, and whatever `cr` itself throws. */
export async function playCounter(stage: Stage, tell: Telling): Promise<CounterFacts> {
  tell.heading("1. A counter, killed and brought back");
  const counter = await stage.start([COUNTER, "1", `${LAST}`, `${PAUSE_MS}`], {
    output: join(stage.folder, "numbers.txt"),
  });
  await stage.until("the counter counts", () => wholeLines(counter.output)[0]);
  const cpu = lastCpu(counter.pid) ?? 0;
  tell.line(`A program prints a number every ${PAUSE_MS} ms. It is process ${counter.pid}, on CPU ${cpu}.`);
  tell.line(
    "Each second, by cron, a snapshot is taken of it; in brackets, how long it stood still for that:",
  );
  const watched = await watchAndKill(stage, tell, counter);
  const { core, killedAfter } = watched;
  const offset = savedOutputBytes(core);
  const snapshotAfter = killedAfter - wholeLines(counter.output, offset).length;
  tell.line(`Ctrl-C: it is dead. Its last number was ${killedAfter}.`);
  tell.line(
    `The newest snapshot is ${basename(core)}; the last number before it was ${snapshotAfter}. From there:`,
  );
  const otherCpu = anotherCpu(cpu);
  const restored = await bringBack(stage, tell, { core, counter, offset, otherCpu });
  const { first } = restored;
  tell.proof(
    first === snapshotAfter + 1,
    `it went on with ${first}, the number after the snapshot's ${snapshotAfter}`,
  );
  tellCpu(tell, { cpu, otherCpu, places: restored.places });
  const kept = readdirSync(join(core, "..")).find((name) => name.startsWith(`${basename(core)}.tail.`));
  if (kept !== undefined) {
    tell.line(
      `   ${snapshotAfter + 1} to ${killedAfter} of the first life were taken back from its output (kept in ${kept})`,
    );
  }
  const whole = Array.from({ length: LAST }, (_, index) => `${index + 1}`).join(" ");
  const printed = wholeLines(counter.output).join(" ");
  tell.proof(
    printed === whole,
    `its output is 1 to ${LAST}, nothing missing and nothing twice; it ended with status 0`,
  );
  const { pid } = counter;
  const { stopMs } = watched;
  const snapshots = stopMs.length;
  return {
    pid,
    snapshots,
    stopMs,
    killedAfter,
    snapshotAfter,
    restoredPid: restored.pid,
    cpu,
    otherCpu,
    core,
    exe: COUNTER,
  };
}

async function watchAndKill(
  stage: Stage,
  tell: Telling,
  counter: Actor,
): Promise<{ core: string; killedAfter: number; stopMs: number[] }> {
  const pattern = "* * * * * *";
  tell.command(`cr watch ${counter.pid} --cron '${pattern}'`);
  const events: Record<string, unknown>[] = [];
  const stopMs: number[] = [];
  const show = follow(tell, counter.output);
  const watch = stage.cr(["watch", `${counter.pid}`, "--cron", pattern], (event) => {
    events.push(event);
    if (event.event !== "generation") return;
    show();
    stopMs.push(Number(event.stopMs));
    tell.words(`[snapshot ${event.number}, ${formatMs(Number(event.stopMs))}]`);
  });
  let enough = Number.POSITIVE_INFINITY;
  await stage.until(`${SNAPSHOTS} snapshots are taken`, () => {
    events.forEach(throwIfError);
    const early = watch.end();
    if (early !== null) throw failed(`cr watch ended with status ${early.status}: ${early.stderr.trim()}`);
    const shown = show();
    if (stopMs.length >= SNAPSHOTS) enough = Math.min(enough, shown + MORE);
    return shown >= enough || undefined;
  });
  process.kill(counter.pid, "SIGINT");
  await counter.ended;
  const killedAfter = show();
  tell.words("^C");
  requireDone(await watch.done);
  const core = String(events.at(-1)?.lastCore ?? "");
  if (core === "") throw failed("cr watch named no core at its end");
  return { core, killedAfter, stopMs };
}

interface Death {
  readonly core: string;
  readonly counter: Actor;
  readonly offset: number;
  readonly otherCpu: number | null;
}

async function bringBack(
  stage: Stage,
  tell: Telling,
  { core, counter, offset, otherCpu }: Death,
): Promise<{ pid: number; first: number; places: ReadonlySet<string> }> {
  const flags = [...(otherCpu === null ? [] : ["--cpus", `${otherCpu}`]), ...pidFlags(tell)];
  tell.command(["cr restore", basename(core), ...flags].join(" "));
  const restore = stage.cr(["restore", core, ...flags]);
  const pid = await restoredPid(stage, restore);
  const places = new Set<string>();
  const show = follow(tell, counter.output, offset);
  await stage.finish(restore, () => {
    const printed = show();
    const here = lastCpu(pid);
    if (here !== undefined && printed > 0) places.add(`${here} of ${statusLine(pid, "Cpus_allowed_list")}`);
  });
  return { pid, first: Number(wholeLines(counter.output, offset)[0]), places };
}

/** Some CPU that this process may use, other than the one given; null when there is none. */
function anotherCpu(cpu: number): number | null {
  const { online, allowed } = cpuInventory();
  const usable = parseCpuList(allowed).filter((one) => parseCpuList(online).includes(one));
  return usable.find((one) => one !== cpu) ?? null;
}

function tellCpu(
  tell: Telling,
  { cpu, otherCpu, places }: { cpu: number; otherCpu: number | null; places: ReadonlySet<string> },
): void {
  if (otherCpu === null) {
    tell.line(`   on CPU ${cpu} as before: this machine lets it use no other one`);
    return;
  }
  const only = [...places].join() === `${otherCpu} of ${otherCpu}`;
  tell.proof(only, `it ran on CPU ${otherCpu}, the only one it may use (before: CPU ${cpu})`);
}
