/** Programs whose main thread has ended before the others: /proc/PID shows hardly anything of them. */
import { join } from "node:path";
import { expect, test } from "vitest";
import { type CrOptions, describeResult } from "../harness/cr.js";
import { eventually } from "../harness/eventually.js";
import { statOf } from "../harness/process.js";
import { type Scene, withScene } from "../harness/scene.js";
import { fixture, type Target } from "../harness/target.js";

async function begin(scene: Scene, options: CrOptions = {}): Promise<Target> {
  const target = await scene.start([fixture("orphans"), "FOLDER"], { asNobody: options.asNobody ?? false });
  // Not by `says`, which gives up on zombies.
  await eventually("it is ready", () => target.output().includes("ready"));
  return target;
}

/** Saves and kills it; its pid is free when this returns. */
async function kill(
  scene: Scene,
  { target, core, ...options }: { target: Target; core: string } & CrOptions,
): Promise<void> {
  const result = await scene.cr(["checkpoint", String(target.pid), "-o", core, "--kill"], options);
  expect(result.status, describeResult(result)).toBe(0);
  await eventually("its pid is free", () => statOf(target.pid) === null);
}

test("one does not notice a checkpoint", () =>
  withScene(async (scene) => {
    const target = await begin(scene);
    const result = await scene.cr(["checkpoint", String(target.pid), "-o", join(scene.folder, "core")]);
    expect(result.status, describeResult(result)).toBe(0);
    target.go();
    await eventually("it says ok", () => target.output() === "ready\nok\n");
    expect(await target.ended(), target.output()).toBe("exited 0");
  }));

test("one goes on after three checkpoints, kills and restores, its main thread ended again", () =>
  withScene(async (scene) => {
    const target = await begin(scene);
    const cores = [1, 2, 3].map((number) => join(scene.folder, `core.${number}`));
    for (const core of cores) {
      await kill(scene, { target, core });
      const result = await scene.cr(["restore", core, "--detach"]);
      expect(result.status, describeResult(result)).toBe(0);
      scene.adopt(target.pid);
      await eventually("its main thread has ended", () => statOf(target.pid)?.state === "Z");
    }
    const inspected = await scene.cr(["inspect", cores[2] ?? ""]);
    expect(inspected.stdout).toContain("goes on");
    await kill(scene, { target, core: join(scene.folder, "core") });
    target.go();
    const end = await scene.cr(["restore", join(scene.folder, "core")]);
    expect(end.status, `${describeResult(end)}\nit said: ${target.output()}`).toBe(0);
    expect(target.output()).toBe("ready\nok\n");
  }));

test("one of nobody's goes on in a pid namespace", () =>
  withScene(async (scene) => {
    const asNobody = true;
    const target = await begin(scene, { asNobody });
    const core = join(target.folder, "core");
    await kill(scene, { target, core, asNobody });
    target.go();
    const end = await scene.cr(["restore", core], { asNobody });
    expect(end.status, `${describeResult(end)}\nit said: ${target.output()}`).toBe(0);
    expect(target.output()).toBe("ready\nok\n");
  }));

test("one keeps its pid: its threads know their ids", () =>
  withScene(async (scene) => {
    const target = await begin(scene);
    const core = join(scene.folder, "core");
    await kill(scene, { target, core });
    const result = await scene.cr(["restore", core, "--pid", "new"]);
    expect(result.status, describeResult(result)).toBe(125);
    expect(result.stderr).toContain("UNSUPPORTED_STATE");
  }));
