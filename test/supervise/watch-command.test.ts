/** `cr watch` as a user runs it, on a program that checks itself and does not notice. */
import { readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { readState } from "../../src/core/read-state.js";
import { openCore } from "../../src/core/reader.js";
import { eventually } from "../harness/eventually.js";
import { runsFreely } from "../harness/process.js";
import { type Scene, withScene } from "../harness/scene.js";
import { fixture } from "../harness/target.js";

function startCounter(scene: Scene) {
  return scene.start([fixture("counter"), "FOLDER", "1000000"]);
}

function cores(folder: string): string[] {
  return readIfThere(folder).filter((name) => name.startsWith("core."));
}

describe("cr watch", () => {
  test("keeps the newest cores and ends with SIGINT, the program running on", () =>
    withScene(async (scene) => {
      const target = await startCounter(scene);
      const env = { CR_HOME: join(scene.folder, "home"), CR_KEEP_LAST: "2" };
      const running = scene.startCr(["watch", `${target.pid}`, "--every", "100ms", "--name", "count"], {
        env,
      });
      const folder = join(env.CR_HOME, "count");
      await eventually("three generations were taken", () =>
        readIfThere(folder).includes(`core.${target.pid}.000003`),
      );
      process.kill(running.pid, "SIGINT");
      const result = await running.done;
      expect(result.status, result.stderr).toBe(0);
      const lines = result.stdout.trim().split("\n");
      expect(lines.length).toBeGreaterThanOrEqual(3);
      expect(lines[0]).toMatch(
        new RegExp(`^core\\.${target.pid}\\.000001  [\\d.]+ [KM]iB  stopped for [\\d.]+ ms of [\\d.]+ ms$`),
      );
      expect(result.stderr).toMatch(
        /^cr: watching process \d+ as job count in .*\ncr: stopped: \d+ checkpoints taken\ncr: newest: .*\n$/,
      );
      expect(cores(folder)).toHaveLength(2);
      // Nothing but the cores: the lock is gone.
      expect(readdirSync(folder)).toHaveLength(2);
      expect(statSync(join(folder, cores(folder)[0] ?? "")).mode & 0o777).toBe(0o600);
      expect(runsFreely(target)).toBe(true);
    }));

  test("keeps a folder a generation of a program with children, which cr verify proves", () =>
    withScene(async (scene) => {
      const target = await scene.start([fixture("swarm"), "FOLDER", "fork"]);
      await target.says("ready");
      const env = { CR_HOME: join(scene.folder, "home"), CR_KEEP_LAST: "2" };
      const running = scene.startCr(["watch", `${target.pid}`, "--every", "100ms", "--name", "many"], {
        env,
      });
      const folder = join(env.CR_HOME, "many");
      await eventually("three generations were taken", () =>
        readIfThere(folder).includes(`core.${target.pid}.000003`),
      );
      process.kill(running.pid, "SIGINT");
      expect((await running.done).status).toBe(0);
      expect(cores(folder)).toHaveLength(2);
      const verified = await scene.cr(["verify", "many"], { env });
      expect(verified.stdout).toMatch(/^(.*: whole, \d+ processes, .* checked\n){2}$/);
      target.go();
      expect(await target.ended(), target.output()).toBe("exited 0");
    }));

  test("keeps the files of the program with --files snapshot", () =>
    withScene(async (scene) => {
      const target = await startCounter(scene);
      const env = { CR_HOME: join(scene.folder, "home") };
      const args = ["watch", `${target.pid}`, "--every", "100ms", "--name", "files", "--files", "snapshot"];
      const running = scene.startCr(args, { env });
      const folder = join(env.CR_HOME, "files");
      await eventually("a generation was taken", () => cores(folder).length > 0);
      process.kill(running.pid, "SIGINT");
      expect((await running.done).status).toBe(0);
      using core = openCore(join(folder, cores(folder)[0] ?? ""));
      expect(readState(core).files.snapshots?.map(({ path }) => path)).toContain(target.outputFile);
    }));

  test("ends with the program, and says so as JSON lines", () =>
    withScene(async (scene) => {
      const target = await startCounter(scene);
      const env = { CR_HOME: join(scene.folder, "home") };
      const running = scene.startCr(["watch", `${target.pid}`, "--cron", "* * * * * *", "--json"], { env });
      const folder = join(env.CR_HOME, `counter-${target.pid}`);
      await eventually("a generation was taken", () => cores(folder).length > 0);
      process.kill(target.pid, "SIGKILL");
      const result = await running.done;
      expect(result.status, result.stdout + result.stderr).toBe(0);
      const events = result.stdout
        .trim()
        .split("\n")
        .map((line) => JSON.parse(line) as Record<string, unknown>);
      expect(events.map((event) => event.event)).toEqual([
        "started",
        ...events.slice(1, -1).map(() => "generation"),
        "ended",
      ]);
      expect(events[1]).toMatchObject({
        number: 1,
        core: join(folder, `core.${target.pid}.000001`),
        pruned: [],
      });
      expect(events.at(-1)).toMatchObject({ ended: "target", failed: 0, job: `counter-${target.pid}` });
    }));

  test("the core of a generation restores", () =>
    withScene(async (scene) => {
      const target = await startCounter(scene);
      const env = { CR_HOME: join(scene.folder, "home") };
      const running = scene.startCr(["watch", `${target.pid}`, "--every", "10m", "--name", "one"], { env });
      const folder = join(env.CR_HOME, "one");
      await eventually("a generation was taken", () => cores(folder).length > 0);
      process.kill(target.pid, "SIGKILL");
      await running.done;
      const restored = await scene.cr(["restore", join(folder, `core.${target.pid}.000001`), "--detach"]);
      expect(restored.status, restored.stderr).toBe(0);
      scene.adopt(target.pid);
    }));
});

describe("wrong usage of cr watch", () => {
  test.each([
    [["1"], "say when: either --every 5s or --cron '*/5 * * * * *'"],
    [["1", "--every", "1s", "--cron", "* * * * * *"], "say when"],
    [["1", "--every", "5"], "write a time above zero with its unit"],
    [["1", "--every", "1ms"], "10 ms to 24 days required"],
    [["1", "--cron", "now"], "reading the cron pattern"],
    [["1", "--every", "1s", "--keep-last", "0"], "write a whole number of at least 1"],
    [["init", "--every", "1s"], "write a pid"],
    [[], "missing required argument 'pid'"],
  ])("%j", (args, message) =>
    withScene(async (scene) => {
      const result = await scene.cr(["watch", ...args]);
      expect(result.status).toBe(2);
      expect(result.stderr).toContain(message);
      expect(result.stdout).toBe("");
    }),
  );
});

function readIfThere(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}
