/** Descriptors of an ordinary user's program: saved and restored by that user, under another pid. */
import { join } from "node:path";
import { expect, test } from "vitest";
import { describeResult } from "../harness/cr.js";
import { checkpoint } from "../harness/cycle.js";
import { killHard } from "../harness/process.js";
import { expectRefusal } from "../harness/refusal.js";
import { withScene } from "../harness/scene.js";
import { fixture } from "../harness/target.js";

const asNobody = true;

test.concurrent.each(["pipes", "objects", "epolls", "locks", "sockets", "ptys"])(
  "nobody restores %s",
  (name) =>
    withScene(async (scene) => {
      const target = await scene.start([fixture(name), "FOLDER"], { asNobody });
      await target.says("ready");
      const core = join(target.folder, "core");
      await checkpoint(scene, { target, core, asNobody });
      await killHard(target);
      target.go();
      const end = await scene.cr(["restore", "--pid", "new", core], { asNobody });
      expect(end.status, `${describeResult(end)}\nit said: ${target.output()}`).toBe(0);
      expect(target.output()).toMatch(/ok\n$/);
    }),
);

test("inotify watches are refused by name: only root may ask for what is watched", () =>
  withScene(async (scene) => {
    const target = await scene.start([fixture("inotify"), "FOLDER"], { asNobody });
    await target.says("ready");
    const result = await scene.cr(["checkpoint", String(target.pid)], { asNobody });
    expectRefusal(result, { codes: ["UNSUPPORTED_STATE"], names: /fd:\d+: an inotify instance/ });
    target.go();
    expect(await target.ended(), target.output()).toBe("exited 0");
  }));
