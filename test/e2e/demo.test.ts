/** `cr demo`: it plays to its end as root and as an ordinary user, and leaves nothing behind however it ends. */
import { chownSync, mkdirSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { type CrOptions, describeResult, jsonOf, NOBODY } from "../harness/cr.js";
import { eventually } from "../harness/eventually.js";
import { findByEnvironment } from "../harness/process.js";
import { type Scene, withScene } from "../harness/scene.js";

/** Longer than half a minute, because other tests run beside it. */
const PATIENCE = { timeoutMs: 120_000 };

/** A temporary folder for the demo, to see that it is empty again; everything the demo starts knows it. */
function temporary(scene: Scene): { folder: string; options: CrOptions } {
  const folder = join(scene.folder, "tmp");
  mkdirSync(folder);
  chownSync(folder, NOBODY, NOBODY);
  return { folder, options: { env: { TMPDIR: folder }, ...PATIENCE } };
}

interface Facts {
  readonly counter: Readonly<Record<string, number>> & { readonly backtrace: readonly string[] };
  readonly system: Readonly<Record<string, number | string>>;
}

describe("cr demo", () => {
  test("kills a counter and a program of the system and brings both back", { timeout: 150_000 }, () =>
    withScene(async (scene) => {
      const { folder, options } = temporary(scene);
      const result = await scene.cr(["demo", "--json"], options);
      expect(result.status, describeResult(result)).toBe(0);
      const { counter, system } = jsonOf(result) as unknown as Facts;
      expect(counter.snapshots).toBeGreaterThanOrEqual(3);
      expect(counter.snapshotAfter).toBeLessThan(counter.killedAfter ?? 0);
      expect(counter.restoredPid).toBe(counter.pid);
      expect(counter.otherCpu).not.toBe(counter.cpu);
      expect(counter.backtrace.join("\n")).toMatch(/ count \(number=\d+, .*\n.* main \(argc=4, /);
      expect(system.restoredPid).toBe(system.pid);
      expect(system.savedAfter).toBeLessThan(Number(system.killedAfter));
      expect(system.killedAfter).toBeLessThan(Number(system.lines));
      expect(readdirSync(folder)).toEqual([]);
    }),
  );

  test("tells an ordinary user why the pid is a new one", { timeout: 150_000 }, () =>
    withScene(async (scene) => {
      const { folder, options } = temporary(scene);
      const result = await scene.cr(["demo"], { ...options, asNobody: true });
      expect(result.status, describeResult(result)).toBe(0);
      expect(result.stdout).toContain("Without CAP_CHECKPOINT_RESTORE it gets a new pid");
      expect(result.stdout).toMatch(/\$ cr restore core\.\d+\.\d{6} (?:--cpus \d+ )?--pid new/);
      expect(result.stdout).toMatch(/ok it went on with \d+, the number after the snapshot's \d+\n/);
      expect(result.stdout).toMatch(/ok all \d+ bytes of its output are those of the undisturbed run/);
      expect(readdirSync(folder)).toEqual([]);
    }),
  );

  test.each([
    ["SIGINT", 130],
    ["SIGTERM", 143],
  ] as const)("leaves nothing behind when %s ends it", (signal, status) =>
    withScene(async (scene) => {
      const { folder, options } = temporary(scene);
      const running = scene.startCr(["demo"], options);
      await eventually("the watch runs", () =>
        findByEnvironment(folder).some(({ command }) => command.includes(" watch ")),
      );
      process.kill(running.pid, signal);
      const result = await running.done;
      expect(result.status, describeResult(result)).toBe(status);
      expect(result.stderr).toContain("stopped; everything it had started is gone");
      expect(readdirSync(folder)).toEqual([]);
      expect(findByEnvironment(folder)).toEqual([]);
    }),
  );

  test("passes on why it cannot", () =>
    withScene(async (scene) => {
      const { folder, options } = temporary(scene);
      // No file may grow beyond this: the first snapshot fails.
      const result = await scene.cr(["demo"], { ...options, under: ["prlimit", "--fsize=4096"] });
      expect(result.status, describeResult(result)).toBe(1);
      expect(result.stderr).toMatch(/^cr: OUTPUT_FAILED: cannot write core .*\ncr: next: /m);
      expect(readdirSync(folder)).toEqual([]);
    }));
});
