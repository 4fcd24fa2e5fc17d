/** Huge pages: saved, and restored where the host has them; where it has not, it is told before anything starts. */
import { readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { describeResult } from "../harness/cr.js";
import { checkpoint, restore, running } from "../harness/cycle.js";
import { expectSameMappings, mappingsOf } from "../harness/mappings.js";
import { expectRefusal, FAILED_FOREGROUND } from "../harness/refusal.js";
import { type Scene, withScene } from "../harness/scene.js";
import { fixture, type Target } from "../harness/target.js";

const COUNT = "/proc/sys/vm/nr_hugepages";
/** What the fixture maps. */
const PAGES = 6;

/** The host has one number of huge pages: no other run of this test may change it until this scene ends. */
async function lockHugePages(scene: Scene): Promise<void> {
  const hold = ["sh", "-c", "echo ready; exec sleep 1000"];
  const lock = await scene.start(["flock", "-F", join(tmpdir(), "recore-test-huge-pages"), ...hold]);
  await lock.says("ready", { timeoutMs: 60_000 });
}

/** Whether there are so many then: memory may be too fragmented, or the number not ours to set. */
function setHugePages(count: number): boolean {
  try {
    writeFileSync(COUNT, `${count}`);
  } catch {
    return false;
  }
  return Number(readFileSync(COUNT, "utf8")) === count;
}

test("huge pages come back with their content, or are missed by name", { timeout: 120_000 }, () =>
  withScene(async (scene) => {
    await lockHugePages(scene);
    const before = Number(readFileSync(COUNT, "utf8"));
    try {
      const given = setHugePages(before + PAGES);
      const target = await scene.start([fixture("huge-pages"), "FOLDER"]);
      if (given) await liveTwice(scene, target);
      else await expect(target.says("ready")).rejects.toThrow(/mmap of huge pages/);
    } finally {
      setHugePages(before);
    }
  }),
);

async function liveTwice(scene: Scene, target: Target): Promise<void> {
  await target.says("ready");
  const was = mappingsOf(target.pid);
  const core = join(scene.folder, "core");
  await checkpoint(scene, { target, core });
  const restored = await restore(scene, { target, core });
  expectSameMappings(mappingsOf((await running(restored)).pid), was);
  target.go();
  const end = await restored.cr.done;
  expect(end.status, `${describeResult(end)}\nit said: ${target.output()}`).toBe(0);
  expect(target.output()).toMatch(/ok\n$/);
  setHugePages(0);
  expectRefusal(await scene.cr(["restore", core]), {
    codes: ["LIMIT_TOO_LOW"],
    status: FAILED_FOREGROUND,
    names: /6 huge pages of 2048 KiB, 0 are free/,
  });
}
