/** Who cannot have `cr restore --lazy`, each told by name before anything is started. */
import { execFile } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";
import { describe, test } from "vitest";
import { checkpoint } from "../harness/cycle.js";
import { killHard } from "../harness/process.js";
import { expectRefusal, FAILED, FAILED_FOREGROUND } from "../harness/refusal.js";
import { type Scene, withScene } from "../harness/scene.js";
import { fixture, type Target } from "../harness/target.js";
import { checkpointTree, killTree, membersOf } from "../harness/tree.js";

const run = promisify(execFile);
const LAZY = ["--lazy"];

async function begin(scene: Scene, name: string): Promise<Target> {
  const target = await scene.start([fixture(name), "FOLDER"]);
  await target.says("ready");
  return target;
}

describe("is refused", () => {
  test.concurrent("without root", () =>
    withScene(async (scene) => {
      const asNobody = true;
      const target = await scene.start([fixture("heap"), "FOLDER"], { asNobody });
      await target.says("ready");
      const core = join(target.folder, "core");
      await checkpoint(scene, { target, core, asNobody });
      const said = await scene.cr(["restore", core, ...LAZY], { asNobody });
      expectRefusal(said, { codes: ["NOT_PERMITTED"], status: FAILED_FOREGROUND, names: "CAP_SYS_PTRACE" });
      // Root restores it as nobody, who has not the right.
      const root = await scene.cr(["restore", core, "-d", ...LAZY]);
      expectRefusal(root, { codes: ["NOT_PERMITTED"], status: FAILED, names: "it belongs to another user" });
    }));

  test.concurrent("in a pid namespace of its own", () =>
    withScene(async (scene) => {
      const target = await begin(scene, "heap");
      const core = join(scene.folder, "core");
      await checkpoint(scene, { target, core });
      const said = await scene.cr(["restore", core, "-d", "--pid", "ns", ...LAZY]);
      expectRefusal(said, { codes: ["UNSUPPORTED_STATE"], names: "pid namespace" });
    }));

  test.concurrent("for a process tree", () =>
    withScene(async (scene) => {
      const target = await begin(scene, "family");
      const tree = join(scene.folder, "tree");
      await checkpointTree(scene, { target, bundle: tree });
      const said = await scene.cr(["restore", tree, "-d", ...LAZY]);
      expectRefusal(said, { codes: ["UNSUPPORTED_STATE"], names: "it is a process tree" });
      await killTree(scene, membersOf(tree));
    }));

  test.concurrent("for a core without checksums", () =>
    withScene(async (scene) => {
      const target = await begin(scene, "heap");
      const prefix = join(scene.folder, "gcore");
      await run("gcore", ["-o", prefix, String(target.pid)]);
      await killHard(target);
      const said = await scene.cr(["restore", `${prefix}.${target.pid}`, "-d", ...LAZY]);
      expectRefusal(said, { codes: ["FOREIGN_CORE"], names: "it has no checksums" });
    }));
});
