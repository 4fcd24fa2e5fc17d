/** What cr restore does with its options and with signals, as a user sees it. */
import { readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { describeResult, jsonOf } from "../harness/cr.js";
import { checkpoint, restore, running } from "../harness/cycle.js";
import { eventually, sleep } from "../harness/eventually.js";
import { isAlive, killHard, runsFreely, statOf, statusLine } from "../harness/process.js";
import { type Scene, withScene } from "../harness/scene.js";
import { fixture, type Target } from "../harness/target.js";

interface Saved {
  readonly target: Target;
  readonly core: string;
}

/** A program that has been checkpointed; the counter counts for twenty seconds. */
async function saved(scene: Scene, argv = [fixture("counter"), "FOLDER", "2000", "10000"]): Promise<Saved> {
  const target = await scene.start(argv);
  await target.says(argv[0]?.endsWith("counter") ? "\n10\n" : "ready");
  const core = join(scene.folder, "core");
  await checkpoint(scene, { target, core });
  return { target, core };
}

describe("cr restore in the foreground", () => {
  test.concurrent.each(["SIGTERM", "SIGINT", "SIGHUP"] as const)(
    "forwards %s and ends as the program ends",
    (signal) =>
      withScene(async (scene) => {
        const life = await saved(scene);
        const restored = await restore(scene, life);
        const program = await running(restored);
        process.kill(restored.cr.pid, signal);
        const end = await restored.cr.done;
        expect(end.status, describeResult(end)).toBe(128 + { SIGTERM: 15, SIGINT: 2, SIGHUP: 1 }[signal]);
        expect(isAlive(program)).toBe(false);
      }),
  );

  test.concurrent("forwards a signal the program handles, which then goes on to its end", () =>
    withScene(async (scene) => {
      const life = await saved(scene, [fixture("blocked"), "FOLDER", "pause", "0", "60000"]);
      const restored = await restore(scene, life);
      await running(restored);
      await sleep(100);
      process.kill(restored.cr.pid, "SIGUSR1");
      const end = await restored.cr.done;
      expect(end.status, `${describeResult(end)}\nit said: ${life.target.output()}`).toBe(0);
    }));

  test.concurrent("lets the program go on when cr itself is killed", () =>
    withScene(async (scene) => {
      const life = await saved(scene);
      const restored = await restore(scene, life);
      const program = await running(restored);
      process.kill(restored.cr.pid, "SIGKILL");
      await restored.cr.done;
      const owned = scene.adopt(program.pid);
      await sleep(100);
      expect(runsFreely(owned)).toBe(true);
    }));
});

describe("cr restore", () => {
  test.concurrent("--stopped leaves the program stopped at its checkpoint, and SIGCONT lets it go on", () =>
    withScene(async (scene) => {
      const { target, core } = await saved(scene, [fixture("brk"), "FOLDER"]);
      await killHard(target);
      const result = await scene.cr(["restore", "--stopped", "--detach", core]);
      expect(result.status, describeResult(result)).toBe(0);
      const program = scene.adopt(target.pid);
      expect(statOf(program.pid)?.state).toBe("T");
      process.kill(program.pid, "SIGCONT");
      target.go();
      await eventually("it checks itself", () => target.output().endsWith("ok\n"));
    }));

  test.concurrent("--cpus pins the program", () =>
    withScene(async (scene) => {
      const { target, core } = await saved(scene);
      await killHard(target);
      const result = await scene.cr(["restore", "--detach", "--cpus", "1", core]);
      expect(result.status, describeResult(result)).toBe(0);
      const program = scene.adopt(target.pid);
      expect(statusLine(program.pid, "Cpus_allowed_list")).toBe("1");
    }));

  test.concurrent("--fd 1=PATH and 1=inherit place standard output elsewhere", () =>
    withScene(async (scene) => {
      const { target, core } = await saved(scene, [fixture("brk"), "FOLDER"]);
      await killHard(target);
      target.go();
      const path = join(scene.folder, "elsewhere");
      const placed = await scene.cr(["restore", core, "--fd", `1=${path}`]);
      expect(placed.status, describeResult(placed)).toBe(0);
      expect(readFileSync(path, "utf8")).toBe("ok\n");
      const inherited = await scene.cr(["restore", core, "--fd", "1=inherit"]);
      expect(inherited.status, describeResult(inherited)).toBe(0);
      expect(inherited.stdout).toBe("ok\n");
      const silent = await scene.cr(["restore", core, "--fd", "1=null"]);
      expect(silent.status, describeResult(silent)).toBe(0);
      expect(silent.stdout).toBe("");
      expect(target.output()).toBe("ready\n");
    }));

  test.concurrent("--files keep leaves grown files alone and says so", () =>
    withScene(async (scene) => {
      const { target, core } = await saved(scene);
      await sleep(200);
      await killHard(target);
      const grownBytes = statSync(target.outputFile).size;
      const result = await scene.cr(["restore", "--detach", "--files", "keep", core]);
      expect(result.status, describeResult(result)).toBe(0);
      const program = scene.adopt(target.pid);
      expect(result.stderr).toContain(target.outputFile);
      expect(statSync(target.outputFile).size).toBeGreaterThanOrEqual(grownBytes);
      expect(runsFreely(program)).toBe(true);
    }));

  test.concurrent("--pid new gives the program another pid when its own is taken", () =>
    withScene(async (scene) => {
      const { target, core } = await saved(scene);
      // Two lives of one program must not share its output files.
      const args = [
        "restore",
        "--detach",
        "--json",
        "--pid",
        "new",
        "--fd",
        "1=null",
        "--fd",
        "2=null",
        core,
      ];
      const result = await scene.cr(args);
      expect(result.status, describeResult(result)).toBe(0);
      const { pid } = jsonOf(result) as { pid: number };
      const program = scene.adopt(pid);
      expect(pid).not.toBe(target.pid);
      expect(runsFreely(program)).toBe(true);
      expect(runsFreely(target)).toBe(true);
    }));
});
