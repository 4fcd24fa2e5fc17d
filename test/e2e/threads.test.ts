/**
 * Programs with many threads: hundreds of them, some that come and go while they are saved, and long chains of
 * checkpoints and restores. What a thread is made of is checked by fixtures/threads.c itself.
 */
import { execFile } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";
import { expect, test } from "vitest";
import { describeResult } from "../harness/cr.js";
import { checkpoint, type Restored, restore, running } from "../harness/cycle.js";
import { type Identity, killHard, statusLine } from "../harness/process.js";
import { type Scene, withScene } from "../harness/scene.js";
import { fixture, type Target } from "../harness/target.js";

const run = promisify(execFile);

async function ready(scene: Scene, argv: readonly string[], asNobody = false): Promise<Target> {
  const target = await scene.start(argv, { asNobody });
  await target.says("ready");
  return target;
}

/** Kills and restores a fixture `times`, then lets it check itself. */
async function live(scene: Scene, argv: readonly string[], times: number): Promise<void> {
  const target = await ready(scene, argv);
  let life: Identity = target;
  let restored: Restored | undefined;
  for (let cycle = 1; cycle <= times; cycle += 1) {
    const core = join(scene.folder, `core.${cycle}`);
    await checkpoint(scene, { target: life, core });
    restored = await restore(scene, { target: life, core });
    life = await running(restored);
  }
  target.go();
  const end = await restored?.cr.done;
  expect(end?.status, `${end && describeResult(end)}\nit said: ${target.output()}`).toBe(0);
  expect(target.output()).toMatch(/ready\nok\n$/);
}

test("64 threads through ten checkpoints, kills and restores", { timeout: 180_000 }, () =>
  withScene((scene) => live(scene, [fixture("threads"), "FOLDER", "64"], 10)),
);

test("500 threads through a checkpoint, a kill and a restore", { timeout: 120_000 }, () =>
  withScene((scene) => live(scene, [fixture("threads"), "FOLDER", "500"], 1)),
);

test("a program that ends while its threads are still being let go is seen to end, every time", () =>
  withScene(async (scene) => {
    const target = await ready(scene, [fixture("leaver"), "FOLDER", "40"]);
    const core = join(scene.folder, "core");
    await checkpoint(scene, { target, core });
    await killHard(target);
    target.go();
    for (let turn = 1; turn <= 6; turn += 1) {
      const end = await scene.cr(["restore", core], { timeoutMs: 20_000 });
      expect(end.status, `${describeResult(end)}\nit said: ${target.output()}`).toBe(0);
    }
  }));

test("64 threads of an unprivileged user do not notice a checkpoint by that user", () =>
  withScene(async (scene) => {
    const target = await ready(scene, [fixture("threads"), "FOLDER", "64"], true);
    const told = await checkpoint(scene, { target, core: join(target.folder, "core"), asNobody: true });
    expect(told).toMatchObject({ threads: 64 });
    target.go();
    expect(await target.ended(), target.output()).toBe("exited 0");
  }));

test("threads that come and go while they are saved twenty times", { timeout: 180_000 }, () =>
  withScene(async (scene) => {
    const target = await ready(scene, [fixture("churn"), "FOLDER"]);
    const core = join(scene.folder, "core");
    const seen = new Set<unknown>();
    for (let time = 0; time < 20; time += 1) {
      const { threads } = await checkpoint(scene, { target, core, extra: ["--force"] });
      seen.add(threads);
    }
    // The main thread and the three that make others: there were more at one time or another.
    expect(Math.max(...[...seen].map(Number))).toBeGreaterThan(4);
    const { cr } = await restore(scene, { target, core });
    target.go();
    const end = await cr.done;
    expect(end.status, `${describeResult(end)}\nit said: ${target.output()}`).toBe(0);
    expect(target.output()).toMatch(/ready\nok\n$/);
  }),
);

test("gdb shows all threads of a core with names and backtraces", () =>
  withScene(async (scene) => {
    const target = await ready(scene, [fixture("threads"), "FOLDER", "64"]);
    const core = join(scene.folder, "core");
    await checkpoint(scene, { target, core });
    const commands = ["info threads", "thread apply all bt -frame-arguments none"];
    const args = ["-nx", "-batch", ...commands.flatMap((command) => ["-ex", command])];
    const { stdout } = await run("gdb", [...args, fixture("threads"), core], { maxBuffer: 1 << 24 });
    expect(stdout.match(/^[* ] +\d+ +(Thread 0x[0-9a-f]+ \()?LWP \d+/gm)).toHaveLength(64);
    expect(stdout.match(/^#\d+ .*\blive \(/gm)).toHaveLength(63);
    expect(stdout.match(/^#\d+ .*\bmain \(/gm)).toHaveLength(1);
    expect(statusLine(target.pid, "Threads")).toBe("64");
    target.go();
    expect(await target.ended(), target.output()).toBe("exited 0");
  }));
