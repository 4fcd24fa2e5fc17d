/** Process trees through their lives: a fixture that checks all that relatives share, and real programs. */
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { familyOf } from "../../src/tracee/kin.js";
import { describeResult, jsonOf } from "../harness/cr.js";
import { eventually } from "../harness/eventually.js";
import { type Identity, statOf } from "../harness/process.js";
import { type Scene, withScene } from "../harness/scene.js";
import { fixture } from "../harness/target.js";
import { checkpointTree, killTree, membersOf, type RestoredTree, restoreTree } from "../harness/tree.js";

const FAMILIES = [
  { name: "family", processes: 10 },
  { name: "terminals", processes: 4 },
  { name: "meeting", processes: 2 },
  { name: "sharers", processes: 8 },
  { name: "sysv", processes: 2, more: ["child"] },
];

describe.each(FAMILIES)("$name", ({ name, processes, more = [] }) => {
  test("does not notice a checkpoint", () =>
    withScene(async (scene) => {
      const target = await scene.start([fixture(name), "FOLDER", ...more]);
      await target.says("ready");
      const told = await checkpointTree(scene, { target, bundle: join(scene.folder, "bundle") });
      expect(told.processes).toBe(processes);
      target.go();
      expect(await target.ended(), target.output()).toBe("exited 0");
      expect(target.output()).toMatch(/ok\n$/);
    }));

  test.each([1, 3])("goes on after %i restores", (times) =>
    withScene(async (scene) => {
      const target = await scene.start([fixture(name), "FOLDER", ...more]);
      await target.says("ready");
      const restored = await live(scene, target, times);
      target.go();
      const end = await restored.cr.done;
      expect(end.status, `${describeResult(end)}\nit said: ${target.output()}`).toBe(0);
      expect(target.output()).toBe("ready\nok\n");
    }),
  );
});

test.each(["family", "sharers"])("%s goes on in a pid namespace of its own, as nobody", (name) =>
  withScene(async (scene) => {
    const asNobody = true;
    const target = await scene.start([fixture(name), "FOLDER"], { asNobody });
    await target.says("ready");
    const bundle = join(target.folder, "bundle");
    await checkpointTree(scene, { target, bundle, asNobody });
    await killTree(scene, membersOf(bundle));
    target.go();
    const end = await scene.cr(["restore", bundle], { asNobody });
    expect(end.status, `${describeResult(end)}\nit said: ${target.output()}`).toBe(0);
    expect(end.stderr).toContain(`it is process ${target.pid} for itself`);
    expect(target.output()).toBe("ready\nok\n");
  }),
);

test("a tree in a pid namespace of its own is listed by our numbers", () =>
  withScene(async (scene) => {
    const target = await scene.start([fixture("crowd"), "FOLDER", "2"]);
    await target.says("ready");
    const bundle = join(scene.folder, "bundle");
    await checkpointTree(scene, { target, bundle });
    await killTree(scene, membersOf(bundle));
    const result = await scene.cr(["restore", bundle, "--pid", "ns", "--detach", "--json"]);
    expect(result.status, describeResult(result)).toBe(0);
    const told = jsonOf(result) as { pid: number; innerPid: number; processes: number[] };
    scene.adopt(told.pid);
    expect(told.innerPid).toBe(target.pid);
    expect(told.processes).toEqual(familyOf(told.pid).map(({ pid }) => pid));
    target.go();
    await eventually("it has ended", () => statOf(told.pid) === null);
    expect(target.output()).toBe("ready\nok\n");
  }));

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
