/** POSIX message queues: put back, made again, and refused where they cannot be. */
import { execFileSync } from "node:child_process";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { describeResult } from "../harness/cr.js";
import { checkpoint } from "../harness/cycle.js";
import { killHard } from "../harness/process.js";
import { expectRefusal, FAILED, FAILED_FOREGROUND } from "../harness/refusal.js";
import { type Scene, withScene } from "../harness/scene.js";
import { fixture, type Target } from "../harness/target.js";

/** mq_open(2) for writing, then what `then` does with the descriptor. */
const opened = (name: string, then: string) =>
  `my $n = "${name}"; my $q = syscall(240, $n, 1, 0, 0); $q >= 0 or die; $| = 1; ${then}`;

async function start(scene: Scene, ...more: string[]): Promise<Target & { readonly name: string }> {
  const target = await scene.start([fixture("queues"), "FOLDER", ...more]);
  await target.says("ready");
  return { ...target, name: `recore-${target.pid}` };
}

test("what came since is taken out, one that is gone is made again", () =>
  withScene(async (scene) => {
    const target = await start(scene);
    const { name } = target;
    const core = join(scene.folder, "core");
    await checkpoint(scene, { target, core });
    await killHard(target);
    execFileSync("perl", ["-e", opened(name, 'my $m = "late"; syscall(242, $q, $m, 4, 0, 0) == 0 or die')]);
    const detached = await scene.cr(["restore", core, "--detach", "--json"]);
    expect(detached.status, describeResult(detached)).toBe(0);
    const life = scene.adopt(Number(JSON.parse(detached.stdout).pid));
    await checkpoint(scene, { target: life, core: `${core}.2` });
    await killHard(life);
    const other = await scene.start(["perl", "-e", opened(name, 'print "ready\\n"; sleep')]);
    await other.says("ready");
    expectRefusal(await scene.cr(["restore", core]), {
      ...{ codes: ["FILE_CHANGED"] as const, status: FAILED_FOREGROUND },
      names: new RegExp(
        `restore the message queue /${name}: process ${other.pid} \\(perl\\) has as descriptor`,
      ),
    });
    await killHard(other);
    execFileSync("perl", ["-e", `my $n = "${name}"; syscall(241, $n) == 0 or die`]);
    target.go();
    const end = await scene.cr(["restore", `${core}.2`]);
    expect(end.status, `${describeResult(end)}\nit said: ${target.output()}`).toBe(0);
    expect(target.output()).toBe("ready\nok\n");
  }));

describe("refused by name", () => {
  test.each([
    ["full", /a message queue \(\/recore-\d+\) with 1 messages, which cannot be read without taking them/],
    ["told", /a message queue \(\/recore-\d+\) of which process \d+ wants to be told \(mq_notify\)/],
  ])("%s", (mode, names) =>
    withScene(async (scene) => {
      const target = await start(scene, mode);
      const result = await scene.cr(["checkpoint", `${target.pid}`, "-o", join(scene.folder, "core")]);
      expectRefusal(result, { codes: ["UNSUPPORTED_STATE"], status: FAILED, names });
      await killHard(target);
      execFileSync("perl", ["-e", `my $n = "${target.name}"; syscall(241, $n) == 0 or die`]);
    }),
  );
});
