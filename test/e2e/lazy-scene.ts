/** The moves of the tests of lazy restores: a fixture that is ready, one in the middle of its fill, and its good end. */
import { readFileSync, writeFileSync } from "node:fs";
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

/** Lets a fixture with turns take the next ones, up to the last of `turns`. */
export function allowTurns({ folder }: Target, turns: number): void {
  for (let turn = 1; turn <= turns; turn += 1) writeFileSync(join(folder, `turn.${turn}`), "");
}

/**
 * A fixture with turns, and a chain of cores, one at the end of each of its first turns: the first is whole, and each of
 * the others builds on the one before. `extra` are further arguments of each checkpoint.
 */
export async function beginChain(
  scene: Scene,
  [name = "", ...rest]: readonly string[],
  extra: readonly (readonly string[])[] = [[], [], []],
): Promise<{ readonly target: Target; readonly cores: readonly string[] }> {
  const target = await scene.start([fixture(name), "FOLDER", ...rest]);
  const cores: string[] = [];
  for (const [index, more] of extra.entries()) {
    const parent = cores.at(-1);
    const core = join(scene.folder, `core.${index + 1}`);
    await target.says(`turn ${index + 1}\n`);
    const told = await checkpoint(scene, {
      ...{ target, core },
      extra: [...more, ...(parent === undefined ? [] : ["--parent", parent])],
    });
    expect(told.parent).toBe(parent);
    cores.push(core);
    if (index + 1 < extra.length) allowTurns(target, index + 1);
  }
  return { target, cores };
}

/** Turns one byte of a file over. */
export function flip(path: string, at: number): void {
  const bytes = readFileSync(path);
  bytes[at] = 255 - (bytes[at] ?? 0);
  writeFileSync(path, bytes);
}
