/** TCP connections of process trees: between relatives, shared by them, and from a child to the outside. */
import { join } from "node:path";
import { expect, test } from "vitest";
import { describeResult } from "../harness/cr.js";
import { eventually } from "../harness/eventually.js";
import { lineClient } from "../harness/line-client.js";
import { type Identity, statOf } from "../harness/process.js";
import { withScene } from "../harness/scene.js";
import { fixture } from "../harness/target.js";
import { checkpointTree, killTree, membersOf, restoreTree } from "../harness/tree.js";

test("relatives go on with connections to one another, three times", { timeout: 120_000 }, () =>
  withScene(async (scene) => {
    const target = await scene.start([fixture("tcp"), "FOLDER", "child"]);
    await target.says("ready");
    let life: Identity = target;
    for (let cycle = 1; ; cycle += 1) {
      const bundle = join(scene.folder, `bundle.${cycle}`);
      await checkpointTree(scene, { target: life, bundle });
      await killTree(scene, membersOf(bundle));
      const { cr, root } = await restoreTree(scene, { target, bundle });
      if (root === null) throw new Error(describeResult(await cr.done));
      life = root;
      if (cycle < 3) continue;
      target.go();
      const end = await cr.done;
      expect(end.status, `${describeResult(end)}\nit said: ${target.output()}`).toBe(0);
      expect(target.output()).toBe("ready\nok\n");
      return;
    }
  }),
);

test("the client of a child is served after the restore", { timeout: 120_000 }, () =>
  withScene(async (scene) => {
    const target = await scene.start(["/bin/sh", "-c", `${fixture("echo")} FOLDER 4 127.0.0.1 & wait`]);
    await target.says("port");
    const client = await lineClient(Number(/port (\d+)/.exec(target.output())?.[1]));
    try {
      client.send("one\n");
      expect(await client.line()).toBe("1 one");
      const bundle = join(scene.folder, "bundle");
      await checkpointTree(scene, { target, bundle, extra: ["--kill"] });
      client.send("two\n");
      // Their parents are not cr: pid 1 may be slow to bury them.
      await eventually("the tree is gone", () => membersOf(bundle).every((pid) => statOf(pid) === null));
      const { cr, root } = await restoreTree(scene, { target, bundle });
      if (root === null) throw new Error(describeResult(await cr.done));
      expect(await client.line()).toBe("2 two");
      expect(client.ended()).toBeNull();
      await killTree(scene, membersOf(bundle));
      await cr.done;
    } finally {
      client.close();
    }
  }),
);
