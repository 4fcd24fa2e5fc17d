/** Processes stopped by job control: checkpointed as they stand, still stopped afterwards, and restored stopped. */
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { describeResult } from "../harness/cr.js";
import { eventually } from "../harness/eventually.js";
import { type Identity, killHard, runsFreely, statOf, statusLine } from "../harness/process.js";
import { type Scene, withScene } from "../harness/scene.js";
import { fixture, type Target } from "../harness/target.js";

const isStopped = ({ pid }: Identity) => statOf(pid)?.state === "T" && statusLine(pid, "TracerPid") === "0";

async function stoppedTarget(scene: Scene): Promise<Target> {
  const target = await scene.start([fixture("stopped"), "FOLDER"]);
  await target.says("ready");
  process.kill(target.pid, "SIGSTOP");
  await eventually("it is stopped", () => isStopped(target));
  return target;
}

async function save(scene: Scene, target: Identity, core: string): Promise<void> {
  const result = await scene.cr(["checkpoint", String(target.pid), "-o", core]);
  expect(result.status, describeResult(result)).toBe(0);
  await eventually("it is stopped as before", () => isStopped(target));
}

describe("a process stopped by SIGSTOP", () => {
  test("does not notice a checkpoint, and goes on by SIGCONT only", () =>
    withScene(async (scene) => {
      const target = await stoppedTarget(scene);
      target.go();
      await save(scene, target, join(scene.folder, "core"));
      await save(scene, target, join(scene.folder, "core2"));
      expect(target.output()).toBe("ready\n");
      process.kill(target.pid, "SIGCONT");
      expect(await target.ended(), target.output()).toBe("exited 0");
    }));

  test("is restored stopped, three times over", () =>
    withScene(async (scene) => {
      const target = await stoppedTarget(scene);
      let life: Identity = target;
      for (let cycle = 1; cycle <= 3; cycle += 1) {
        const core = join(scene.folder, `core.${cycle}`);
        await save(scene, life, core);
        await killHard(life);
        const result = await scene.cr(["restore", "--detach", core]);
        expect(result.status, describeResult(result)).toBe(0);
        life = scene.adopt(target.pid);
        await eventually("it is stopped", () => isStopped(life));
      }
      process.kill(life.pid, "SIGCONT");
      await eventually("it runs", () => runsFreely(life));
      target.go();
      await eventually("it is well", () => target.output().endsWith("ok\n"));
    }));
});

test("cr waits for a program that it has restored stopped", () =>
  withScene(async (scene) => {
    const target = await stoppedTarget(scene);
    const core = join(scene.folder, "core");
    await save(scene, target, core);
    await killHard(target);
    const cr = scene.startCr(["restore", core]);
    await eventually("it is stopped", () => isStopped(target));
    target.go();
    process.kill(target.pid, "SIGCONT");
    expect((await cr.done).status).toBe(0);
    expect(target.output()).toMatch(/ok\n$/);
  }));
