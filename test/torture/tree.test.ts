/**
 * SIGKILL of the checkpoint of a process tree at system-call boundaries: every member goes on as if nothing had been,
 * and the earlier bundle, or the new one, is whole under the final name.
 */
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeAll, beforeEach, expect, it } from "vitest";
import { verifyBundle } from "../../src/core/verify-bundle.js";
import { checksumsOf } from "../../src/tracee/frames.js";
import { unpack } from "../../src/tracee/unpack.js";
import { chooseBoundaries } from "./boundaries.js";
import { buildPrograms } from "./build.js";
import { type KilledRun, runKilled } from "./killed-run.js";
import { checkpointCommand, corePath, requireBuilt } from "./tool.js";
import { endTree, findHarmInTree, holdSnapshots, startTree, type WatchedTree } from "./watched-target.js";

const MODES = ["compute", "sleep"] as const;
const SAMPLE_SIZE = 20;
const TEST_MS_MAX = process.env.CR_TORTURE === undefined ? 180_000 : 14_400_000;

let folder: string;
let tree: WatchedTree;

beforeAll(() => {
  requireBuilt();
  buildPrograms();
});

beforeEach(() => {
  folder = mkdtempSync(`${tmpdir()}/cr-tree-`);
  tree = startTree(MODES, folder);
});

afterEach(() => {
  endTree(tree);
  rmSync(folder, { recursive: true, force: true });
});

it("cr checkpoint of a tree, killed at any system call, harms no member and no earlier bundle", {
  timeout: TEST_MS_MAX,
}, async () => {
  const whole = await checkpoint();
  expect(whole, whole.output).toMatchObject({ exitStatus: 0, killed: false });
  expect(await findHarmInTree(tree)).toBeNull();
  expect(findLoss()).toBeNull();

  const harms: string[] = [];
  for (const boundary of chooseBoundaries(whole, SAMPLE_SIZE)) {
    const run = await checkpoint(boundary);
    const failed = !run.killed && run.exitStatus !== 0 ? `cr failed by itself: ${run.output}` : null;
    const harm = failed ?? (await findHarmInTree(tree)) ?? findLoss();
    clearTemporaries();
    if (harm === null) continue;
    harms.push(`boundary ${boundary} (${run.killedIn}): ${harm}`);
    endTree(tree);
    rmSync(corePath(tree.root, folder), { recursive: true, force: true });
    tree = startTree(MODES, folder);
    await checkpoint();
  }
  expect(harms).toEqual([]);
});

async function checkpoint(killAt?: number): Promise<KilledRun> {
  for (const target of tree.targets) await holdSnapshots(target);
  const command = checkpointCommand(tree.root, folder);
  return runKilled({ command, from: `path:/proc/${tree.root}/`, ...(killAt !== undefined && { killAt }) });
}

/** What is wrong with the bundle under the final name; null when it is whole. */
function findLoss(): string | null {
  const { ok, problems } = verifyBundle(corePath(tree.root, folder), { checksum: checksumsOf, unpack });
  return ok ? null : `the bundle is not whole: ${problems[0]?.message}`;
}

/** A cr that was killed while it gave the folder its name leaves it under a temporary one. */
function clearTemporaries(): void {
  for (const name of readdirSync(folder)) {
    if (name.startsWith(".core.")) rmSync(join(folder, name), { recursive: true });
  }
}
