/** The lives of a program that works until it is told to end: killed and restored in the middle of its work. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect } from "vitest";
import { describeResult } from "./cr.js";
import type { Scene } from "./scene.js";
import type { LaunchOptions, Target } from "./target.js";
import { checkpointTree, killTree, membersOf, type RestoredTree, restoreTree } from "./tree.js";

/** Starts a program, which works until the file `go` appears, and takes it through `times` lives to its end. */
export async function throughLives(
  scene: Scene,
  {
    argv,
    times,
    started,
    extra = [],
    options = {},
  }: {
    argv: readonly string[];
    times: number;
    started: (target: Target) => Promise<void>;
    extra?: readonly string[];
    options?: LaunchOptions;
  },
): Promise<Target> {
  const target = await scene.start(argv, options);
  await started(target);
  let life = target as { pid: number; startTicks: string };
  let restored: RestoredTree | null = null;
  for (let cycle = 1; cycle <= times; cycle += 1) {
    const bundle = join(scene.folder, `bundle.${cycle}`);
    await checkpointTree(scene, { target: life, bundle, extra });
    await killTree(scene, membersOf(bundle));
    restored = await restoreTree(scene, { target, bundle });
    if (restored.root === null)
      throw new Error(`${describeResult(await restored.cr.done)}${errorsOf(target)}`);
    life = restored.root;
  }
  target.go();
  const end = await restored?.cr.done;
  expect(end?.status, `${end && describeResult(end)}${errorsOf(target)}`).toBe(0);
  return target;
}

function errorsOf({ folder }: Target): string {
  return `\nits standard error: ${readFileSync(join(folder, "stderr"), "utf8")}`;
}
