/** Cosmetic losses of memory: told at the checkpoint and kept in the core; with --strict they refuse it, by name. */
import { join } from "node:path";
import { expect, test } from "vitest";
import { checkpoint } from "../harness/cycle.js";
import { expectRefusal, listing } from "../harness/refusal.js";
import { withScene } from "../harness/scene.js";
import { fixture } from "../harness/target.js";

test("memory that is all locked may mean that later memory is to be, too", () =>
  withScene(async (scene) => {
    const says = /mlockall, MCL_FUTURE/;
    const target = await scene.start([fixture("locked"), "FOLDER"]);
    await target.says("ready");
    const core = join(scene.folder, "core");
    const strict = await scene.cr(["checkpoint", "--strict", "-o", core, `${target.pid}`]);
    expectRefusal(strict, { codes: ["UNSUPPORTED_STATE"], names: says });
    expect(listing(scene.folder)).not.toContain("core");
    const { softErrors } = await checkpoint(scene, { target, core });
    expect(softErrors).toMatchObject([{ kind: "mapping", message: expect.stringMatching(says) }]);
    expect((await scene.cr(["inspect", core])).stdout).toMatch(says);
    target.go();
    expect(await target.ended(), target.output()).toBe("exited 0");
  }));
