/** Large address spaces: absent and zero pages take no room in the core, cr stays small, many mappings cost little. */
import { rmSync, statSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { describeResult } from "../harness/cr.js";
import { checkpoint, restore, running } from "../harness/cycle.js";
import { expectSameMappings, mappingsOf } from "../harness/mappings.js";
import { peakMemoryMib } from "../harness/peak.js";
import { killHard, runsFreely } from "../harness/process.js";
import { withScene } from "../harness/scene.js";
import { fixture } from "../harness/target.js";

const MIB = 2 ** 20;

test(
  "4 GiB sparse, 2 GiB resident, half of it zero: less than 1.2 GiB of disk and 150 MiB of memory",
  {
    timeout: 240_000,
  },
  () =>
    withScene(async (scene) => {
      const target = await scene.start([fixture("sparse"), "FOLDER", "4096"]);
      await target.says("ready", { timeoutMs: 60_000 });
      const core = join(scene.folder, "core");
      const taking = scene.startCr(["checkpoint", String(target.pid), "-o", core], { timeoutMs: 120_000 });
      const peakMib = await peakMemoryMib(taking);
      const result = await taking.done;
      expect(result.status, describeResult(result)).toBe(0);
      expect(runsFreely(target)).toBe(true);
      expect((statSync(core).blocks * 512) / MIB).toBeLessThan(1.2 * 1024);
      expect(peakMib).toBeLessThan(150);
      expect(peakMib).toBeGreaterThan(10);
      await killHard(target);
      const restoring = scene.startCr(["restore", core], { timeoutMs: 120_000 });
      target.go();
      expect(await peakMemoryMib(restoring)).toBeLessThan(150);
      const end = await restoring.done;
      expect(end.status, `${describeResult(end)}\nit said: ${target.output()}`).toBe(0);
      rmSync(core);
    }),
);

test("25,000 mappings and 1,000 pieces of shared memory come back exactly", { timeout: 240_000 }, () =>
  withScene(async (scene) => {
    const target = await scene.start([fixture("many-maps"), "FOLDER"]);
    await target.says("ready", { timeoutMs: 60_000 });
    const was = mappingsOf(target.pid);
    const core = join(scene.folder, "core");
    await checkpoint(scene, { target, core });
    const restored = await restore(scene, { target, core });
    expectSameMappings(mappingsOf((await running(restored)).pid), was);
    target.go();
    const end = await restored.cr.done;
    expect(end.status, `${describeResult(end)}\nit said: ${target.output()}`).toBe(0);
    expect(target.output()).toMatch(/ok\n$/);
  }),
);
