/** What cr checkpoint does with its options, as a user sees it: names, --kill, --stop, --json, plain words. */
import { existsSync, statSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { describeResult, jsonOf } from "../harness/cr.js";
import { checkpoint } from "../harness/cycle.js";
import { eventually, sleep } from "../harness/eventually.js";
import { isAlive, runsFreely, statOf } from "../harness/process.js";
import { listing } from "../harness/refusal.js";
import { type Scene, withScene } from "../harness/scene.js";
import { fixture, type Target } from "../harness/target.js";

async function counter(scene: Scene): Promise<Target> {
  const target = await scene.start([fixture("counter"), "FOLDER", "300", "10000"]);
  await target.says("\n10\n");
  return target;
}

describe("cr checkpoint", () => {
  test.concurrent("writes core.PID into the current folder, for its owner alone, and nothing else", () =>
    withScene(async (scene) => {
      const target = await counter(scene);
      const cwd = join(target.folder);
      const before = listing(cwd);
      const result = await scene.cr(["checkpoint", String(target.pid)], { cwd });
      expect(result.status, describeResult(result)).toBe(0);
      expect(listing(cwd)).toEqual([`core.${target.pid}`, ...before].sort());
      expect(statSync(join(cwd, `core.${target.pid}`)).mode & 0o7777).toBe(0o600);
      expect(result.stdout + result.stderr).toContain(`core.${target.pid}`);
      expect(runsFreely(target)).toBe(true);
    }));

  test.concurrent("tells one object with --json, sizes in bytes and times in ms", () =>
    withScene(async (scene) => {
      const target = await counter(scene);
      const core = join(scene.folder, "core");
      const told = await checkpoint(scene, { target, core });
      expect(told).toMatchObject({ pid: target.pid, name: "counter", core, threads: 1, processes: 1 });
      expect(["live", "fork", "stop"]).toContain(told.mode);
      for (const key of ["stopMs", "totalMs", "bytes", "pages", "rounds"])
        expect(told[key]).toEqual(expect.any(Number));
      expect(told.softErrors).toEqual(expect.any(Array));
      expect(told.totalMs).toBeGreaterThanOrEqual(told.stopMs as number);
      expect(told.bytes).toBeGreaterThan(10_000);
      expect(told.bytes).toBeLessThanOrEqual(statSync(core).size);
    }));

  test.concurrent("--kill ends the program once the core is whole, and not one number later", () =>
    withScene(async (scene) => {
      const target = await counter(scene);
      const core = join(scene.folder, "core");
      const result = await scene.cr(["checkpoint", String(target.pid), "-o", core, "--kill"]);
      expect(result.status, describeResult(result)).toBe(0);
      expect(await target.ended()).toBe("killed 9");
      expect(existsSync(core)).toBe(true);
      const printed = target.output();
      const restored = await scene.cr(["restore", core]);
      expect(restored.status, describeResult(restored)).toBe(0);
      // Nothing had to be rolled back: the program was stopped from the checkpoint to its death.
      expect(listing(scene.folder).filter((name) => name.startsWith("core."))).toEqual([]);
      expect(target.output().startsWith(printed)).toBe(true);
      expect(target.output()).toMatch(/\n298\n299\nok\n$/);
    }));

  test.concurrent("--stop leaves the program stopped, and SIGCONT lets it go on", () =>
    withScene(async (scene) => {
      const target = await counter(scene);
      const core = join(scene.folder, "core");
      const result = await scene.cr(["checkpoint", String(target.pid), "-o", core, "--stop"]);
      expect(result.status, describeResult(result)).toBe(0);
      expect(statOf(target.pid)?.state).toBe("T");
      const printed = target.output();
      await sleep(100);
      expect(target.output()).toBe(printed);
      expect(isAlive(target)).toBe(true);
      process.kill(target.pid, "SIGCONT");
      await eventually("it goes on", () => runsFreely(target) && target.output().length > printed.length);
    }));

  test.concurrent("a core that cr verify and cr inspect find good", () =>
    withScene(async (scene) => {
      const target = await counter(scene);
      const core = join(scene.folder, "core");
      await checkpoint(scene, { target, core });
      const verified = await scene.cr(["verify", core]);
      expect(verified.status, describeResult(verified)).toBe(0);
      const inspected = await scene.cr(["inspect", core, "--json"]);
      expect(inspected.status, describeResult(inspected)).toBe(0);
      expect(JSON.stringify(jsonOf(inspected))).toContain("counter");
    }));
});
