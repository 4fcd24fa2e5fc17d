/** The watch loop around real processes, with a checkpoint that only writes a file: when, where, what is kept. */
import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, beforeEach, expect, test } from "vitest";
import { CrError } from "../../src/errors.js";
import { everySchedule } from "../../src/supervise/schedule.js";
import { type TakeCheckpoint, type WatchEvent, type WatchOptions, watch } from "../../src/supervise/watch.js";

let home: string;
let child: ChildProcess;
let pid: number;
beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), "recore-watch-"));
  child = spawn("sleep", ["60"], { stdio: "ignore" });
  pid = child.pid ?? 0;
});
afterEach(() => {
  child.kill("SIGKILL");
  rmSync(home, { recursive: true });
});

/** Writes a file and takes `ms` for it, as a checkpoint would. */
function writing(ms = 0): TakeCheckpoint {
  return async (_pid, { output }) => {
    await sleep(ms);
    writeFileSync(output, "core");
    return { core: output, stopMs: 1, totalMs: ms, bytes: 4 };
  };
}

function options(more: Partial<WatchOptions> = {}): WatchOptions {
  return { pid, schedule: everySchedule(50), retention: { keepLast: 3 }, name: "job", home, ...more };
}

function jobFiles(): string[] {
  return readdirSync(join(home, "job")).sort();
}

test("generations follow one another, the last ones stay, and the end of the program ends it", async () => {
  const events: WatchEvent[] = [];
  setTimeout(() => child.kill("SIGKILL"), 480);
  const told: number[] = [];
  const meanwhile = () => void told.push(events.length);
  const summary = await watch(options({ onEvent: (event) => events.push(event), meanwhile }), writing());
  expect(summary).toMatchObject({ job: "job", pid, ended: "target", failed: 0 });
  expect(summary.taken).toBeGreaterThanOrEqual(5);
  const name = (number: number) => `core.${pid}.${String(number).padStart(6, "0")}`;
  expect(jobFiles()).toEqual([summary.taken - 2, summary.taken - 1, summary.taken].map(name));
  expect(basename(summary.lastCore ?? "")).toBe(name(summary.taken));
  // Behind each of them, once it has been told.
  expect(told).toEqual(Array.from({ length: summary.taken }, (_, at) => at + 2));
  expect(events[0]).toEqual({ event: "started", job: "job", folder: join(home, "job"), pid });
  expect(events[4]).toMatchObject({ event: "generation", number: 4, pruned: [join(home, "job", name(1))] });
});

test("a stop lets the checkpoint under way finish and frees the job", async () => {
  const stop = new AbortController();
  setTimeout(() => stop.abort(), 60);
  const summary = await watch(options({ signal: stop.signal }), writing(300));
  expect(summary).toMatchObject({ ended: "stopped", taken: 1 });
  expect(jobFiles()).toEqual([`core.${pid}.000001`]);
});

test("a signal that came before ends it at once", async () => {
  const signal = AbortSignal.abort();
  expect(await watch(options({ signal, schedule: everySchedule(1000) }), writing())).toMatchObject({
    ended: "stopped",
    taken: 0,
  });
});

test("a failed checkpoint is told and the next one tried", async () => {
  const failures: unknown[] = [];
  const stop = new AbortController();
  const write = writing();
  let calls = 0;
  const summary = await watch(
    options({
      signal: stop.signal,
      onEvent: (event) => {
        if (event.event === "failed") failures.push(event.error);
      },
    }),
    (target, asked) => {
      calls += 1;
      if (calls === 2) throw new CrError("OUTPUT_FAILED", "the disk is full");
      if (calls === 4) stop.abort();
      return write(target, asked);
    },
  );
  expect(summary).toMatchObject({ ended: "stopped", taken: 3, failed: 1 });
  expect(failures).toEqual([expect.objectContaining({ code: "OUTPUT_FAILED" })]);
  expect(jobFiles()).toEqual([1, 2, 3].map((number) => `core.${pid}.00000${number}`));
});

test("a checkpoint that failed because the program ended is no failure", async () => {
  const summary = await watch(options(), async () => {
    child.kill("SIGKILL");
    await new Promise((resolve) => child.once("exit", resolve));
    throw new CrError("TARGET_CHANGED", "it ended");
  });
  expect(summary).toMatchObject({ ended: "target", taken: 0, failed: 0, lastCore: null });
});

test("two watches do not share a job", async () => {
  const stop = new AbortController();
  const first = watch(options({ signal: stop.signal }), writing());
  await sleep(100);
  await expect(watch(options(), writing())).rejects.toMatchObject({ code: "JOB_EXISTS" });
  stop.abort();
  await first;
});

test("checkpoints carry the start time and the limit on", async () => {
  const asked: unknown[] = [];
  const stop = new AbortController();
  const write = writing();
  await watch(options({ signal: stop.signal, timeoutMs: 700 }), (target, more) => {
    asked.push(more);
    stop.abort();
    return write(target, more);
  });
  expect(asked).toEqual([
    { output: join(home, "job", `core.${pid}.000001`), startTicks: expect.any(BigInt), timeoutMs: 700 },
  ]);
});

test("a process that is not there, or is another one by now, makes no job", async () => {
  const refused = { code: "NO_SUCH_PROCESS" };
  await expect(watch(options({ startTicks: 1n }), writing())).rejects.toMatchObject(refused);
  child.kill("SIGKILL");
  await new Promise((resolve) => child.once("exit", resolve));
  await expect(watch(options(), writing())).rejects.toMatchObject(refused);
  expect(readdirSync(home)).toEqual([]);
});
