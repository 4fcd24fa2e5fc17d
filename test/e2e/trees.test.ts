/** Process trees through their lives: a fixture that checks all that relatives share, and real programs. */
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { describeResult } from "../harness/cr.js";
import type { Identity } from "../harness/process.js";
import { type Scene, withScene } from "../harness/scene.js";
import { fixture } from "../harness/target.js";
import { checkpointTree, killTree, membersOf, type RestoredTree, restoreTree } from "../harness/tree.js";

const FAMILIES = [
  { name: "family", processes: 10 },
  { name: "terminals", processes: 4 },
  { name: "meeting", processes: 2 },
  { name: "sharers", processes: 8 },
];

describe.each(FAMILIES)("$name", ({ name, processes }) => {
  test("does not notice a checkpoint", () =>
    withScene(async (scene) => {
      const target = await scene.start([fixture(name), "FOLDER"]);
      await target.says("ready");
      const told = await checkpointTree(scene, { target, bundle: join(scene.folder, "bundle") });
      expect(told.processes).toBe(processes);
      target.go();
      expect(await target.ended(), target.output()).toBe("exited 0");
      expect(target.output()).toMatch(/ok\n$/);
    }));

  test.each([1, 3])("goes on after %i restores", (times) =>
    withScene(async (scene) => {
      const target = await scene.start([fixture(name), "FOLDER"]);
      await target.says("ready");
      const restored = await live(scene, target, times);
      target.go();
      const end = await restored.cr.done;
      expect(end.status, `${describeResult(end)}\nit said: ${target.output()}`).toBe(0);
      expect(target.output()).toBe("ready\nok\n");
    }),
  );
});

test(
  "a crowd of 200 processes comes back",
  () =>
    withScene(async (scene) => {
      const target = await scene.start([fixture("crowd"), "FOLDER", "199"]);
      await target.says("ready");
      const restored = await live(scene, target, 1);
      target.go();
      const end = await restored.cr.done;
      expect(end.status, `${describeResult(end)}\nit said: ${target.output()}`).toBe(0);
      expect(target.output()).toBe("ready\nok\n");
    }),
  120_000,
);

/** Checkpoints, kills and restores a tree `times`; the last life. */
async function live(scene: Scene, target: Identity, times: number): Promise<RestoredTree> {
  let life = target;
  let restored: RestoredTree | null = null;
  for (let cycle = 1; cycle <= times; cycle += 1) {
    const bundle = join(scene.folder, `bundle.${cycle}`);
    await checkpointTree(scene, { target: life, bundle });
    await killTree(scene, membersOf(bundle));
    if (restored !== null) expect((await restored.cr.done).status).toBe(128 + 9);
    restored = await restoreTree(scene, { target, bundle });
    if (restored.root === null) throw new Error(describeResult(await restored.cr.done));
    life = restored.root;
  }
  if (restored === null) throw new RangeError("no cycles");
  return restored;
}
