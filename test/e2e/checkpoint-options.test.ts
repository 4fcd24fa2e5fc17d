/** What cr checkpoint does with its options, as a user sees it: names, --kill, --stop, --json, plain words. */
import { existsSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { readCore } from "../../src/core/read-core.js";
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

  test.concurrent("--self-contained stores what mappings show of their files, and a restore maps the files", () =>
    withScene(async (scene) => {
      const target = await counter(scene);
      const core = join(scene.folder, "core");
      const saved = await scene.cr(["checkpoint", `${target.pid}`, "-o", core, "--self-contained", "--kill"]);
      expect(saved.status, describeResult(saved)).toBe(0);
      const { state } = readCore(core);
      const bytes = readFileSync(core);
      const libraries = state.vmas.filter(({ kind, prot }) => kind === "file" && prot.startsWith("r-x"));
      expect(libraries.length).toBeGreaterThan(1);
      for (const { start, end, path, offset } of libraries) {
        const runs = state.runs.filter(({ address }) => address >= start && address < end);
        const stored = runs.map((run) => bytes.subarray(run.fileOffset, run.fileOffset + run.lengthBytes));
        const shown = readFileSync(path).subarray(Number(offset), Number(offset + end - start));
        const whole = Buffer.concat(stored);
        expect(
          runs.every(({ sameAsFile }) => sameAsFile),
          path,
        ).toBe(true);
        expect(whole.length, path).toBe(Number(end - start));
        expect(whole.subarray(0, shown.length).equals(shown), path).toBe(true);
      }
      const restored = await scene.cr(["restore", core]);
      expect(restored.status, describeResult(restored)).toBe(0);
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
