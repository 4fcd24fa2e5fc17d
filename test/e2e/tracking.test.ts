/** A program that rewrites and maps memory while it is tracked, for one checkpoint or on and on, in one piece or several. */
import { join } from "node:path";
import { expect, test } from "vitest";
import { checkpoint } from "../../src/checkpoint/checkpoint.js";
import { Lineage } from "../../src/checkpoint/lineage.js";
import { describeResult } from "../harness/cr.js";
import { killHard } from "../harness/process.js";
import { type Scene, withScene } from "../harness/scene.js";
import { fixture, type Target } from "../harness/target.js";

const TIMES = ["1", "2", "3", "4", "5", "6", "7", "8"];

async function begin(scene: Scene): Promise<Target> {
  const target = await scene.start([fixture("shifter"), "FOLDER"]);
  await target.says("ready");
  return target;
}

async function endsWell(scene: Scene, target: Target, core: string): Promise<void> {
  target.go();
  expect(await target.ended(), target.output()).toBe("exited 0");
  const verified = await scene.cr(["verify", core]);
  expect(verified.status, describeResult(verified)).toBe(0);
}

test("a mapping that comes while it is tracked is not split", () =>
  withScene(async (scene) => {
    const target = await begin(scene);
    for (const time of TIMES) {
      const args = ["checkpoint", `${target.pid}`, "-o", join(scene.folder, time), "--mode", "live"];
      const result = await scene.cr(args);
      expect(result.status, `${describeResult(result)}\n${target.output()}`).toBe(0);
    }
    await endsWell(scene, target, join(scene.folder, "8"));
  }));

test("nor one that comes between checkpoints that build on one another", () =>
  withScene(async (scene) => {
    const target = await begin(scene);
    using lineage = new Lineage();
    for (const time of TIMES) {
      await checkpoint(target.pid, { output: join(scene.folder, time), lineage, mode: "live" });
    }
    await endsWell(scene, target, join(scene.folder, "8"));
  }));

test("a large program is copied piece by piece, and goes on", () =>
  withScene(async (scene) => {
    const target = await beginLarge(scene);
    const core = join(scene.folder, "core");
    const told = await checkpoint(target.pid, { output: core, mode: "live" });
    expect(told.scanMs).toBeGreaterThan(0);
    await goesOnFrom(scene, target, core);
  }));

test("and so is what it writes between checkpoints that build on one another", () =>
  withScene(async (scene) => {
    const target = await beginLarge(scene);
    using lineage = new Lineage();
    const parents: (string | undefined)[] = [];
    for (const time of TIMES) {
      const output = join(scene.folder, time);
      const { parent } = await checkpoint(target.pid, { output, lineage, mode: "live" });
      parents.push(parent);
    }
    expect(parents.filter((parent) => parent !== undefined).length).toBeGreaterThan(1);
    await goesOnFrom(scene, target, join(scene.folder, "8"));
  }));

async function beginLarge(scene: Scene): Promise<Target> {
  const target = await scene.start([fixture("rewriter"), "FOLDER", "large"]);
  await target.says("ready");
  return target;
}

/** Restored from it, it finds every page as it was. */
async function goesOnFrom(scene: Scene, target: Target, core: string): Promise<void> {
  await killHard(target);
  target.go();
  const end = await scene.cr(["restore", core]);
  expect(end.status, `${describeResult(end)}\nit said: ${target.output()}`).toBe(0);
}
