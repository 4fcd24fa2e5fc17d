/** The moves of the tests of lazy restores: a fixture that is ready, one in the middle of its fill, and its good end. */
import { join } from "node:path";
import { expect } from "vitest";
import { describeResult, type RunningCr } from "../harness/cr.js";
import { checkpoint, restore, running } from "../harness/cycle.js";
import { shutTap } from "../harness/page-server.js";
import type { Scene } from "../harness/scene.js";
import { fixture, type Target } from "../harness/target.js";

export const LAZY = ["--lazy"];

/** What the fixture's `big` begins with: `pattern` of act.h for the seed 7. */
export const BIG_WORDS = [0n, 1n].map((index) => {
  return BigInt.asUintN(64, 7n * 0x9e3779b97f4a7c15n + index * 0xbf58476d1ce4e5b9n) | 1n;
});

export async function begin(scene: Scene, [name = "", ...rest]: readonly string[]): Promise<Target> {
  const target = await scene.start([fixture(name), "FOLDER", ...rest]);
  await target.says("ready");
  return target;
}

/** A program in the middle of a lazy restore, of which nothing is filled in but what it touches. */
export async function beginFilling(scene: Scene, argv: readonly string[] = ["lazy"]) {
  const target = await begin(scene, argv);
  const core = join(scene.folder, "core");
  await checkpoint(scene, { target, core });
  const tap = shutTap(scene);
  const restored = await restore(scene, { target, core, extra: LAZY, env: tap.env });
  return { target, core, tap, cr: restored.cr, program: await running(restored) };
}

export async function expectGood(cr: RunningCr, target: Target): Promise<void> {
  const end = await cr.done;
  expect(end.status, `${describeResult(end)}\nit said: ${target.output()}`).toBe(0);
  expect(target.output()).toMatch(/ok\n$/);
}
