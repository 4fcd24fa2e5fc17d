/** POSIX timers of a program that gets another pid: who is told, and --strict. */
import { join } from "node:path";
import { expect, test } from "vitest";
import { describeResult } from "../harness/cr.js";
import { checkpoint } from "../harness/cycle.js";
import { eventually } from "../harness/eventually.js";
import { killHard } from "../harness/process.js";
import { expectRefusal } from "../harness/refusal.js";
import { withScene } from "../harness/scene.js";
import { fixture } from "../harness/target.js";

test("tell their thread under its new id, for nobody too", () =>
  withScene(async (scene) => {
    const target = await scene.start([fixture("posix-timer"), "FOLDER", "ticks"], { asNobody: true });
    await target.says("ready");
    const core = join(target.folder, "core");
    await checkpoint(scene, { target, core, asNobody: true });
    await killHard(target);
    const cr = scene.startCr(["restore", core, "--pid", "new"], { asNobody: true });
    target.go();
    const end = await cr.done;
    expect(end.status, `${describeResult(end)}${target.output()}`).toBe(0);
    await eventually("it is well", () => target.output().endsWith("ok\n"));
  }));

test("are not all that --strict wants", () =>
  withScene(async (scene) => {
    const target = await scene.start([fixture("posix-timer"), "FOLDER", "ticks"]);
    await target.says("ready");
    const args = ["checkpoint", "--strict", "-o", join(scene.folder, "core"), String(target.pid)];
    const result = await scene.cr(args);
    expectRefusal(result, { codes: ["UNSUPPORTED_STATE"], names: /absolute time.*overrun/ });
    target.go();
    expect(await target.ended()).toBe("exited 0");
  }));
