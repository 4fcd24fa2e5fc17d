/** Who a restored program is: root gives back what the program was, and nobody gives what he has not got. */
import { existsSync, mkdirSync, readFileSync, rmdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { parseMembership } from "../../src/host/cgroup-membership.js";
import { NOBODY } from "../harness/cr.js";
import { checkpoint, restore, running } from "../harness/cycle.js";
import { killHard, statusLine } from "../harness/process.js";
import { expectRefusal, FAILED_FOREGROUND } from "../harness/refusal.js";
import { withScene } from "../harness/scene.js";
import { fixture } from "../harness/target.js";

test("root restores a program of nobody's as nobody", () =>
  withScene(async (scene) => {
    const target = await scene.start([fixture("identity"), "FOLDER"], { asNobody: true });
    await target.says("ready");
    const core = join(scene.folder, "core");
    await checkpoint(scene, { target, core });
    const restored = await restore(scene, { target, core });
    const life = await running(restored);
    expect(statusLine(life.pid, "Uid").split(/\s+/)).toEqual(Array(4).fill(String(NOBODY)));
    expect(statusLine(life.pid, "CapEff")).toMatch(/^0+$/);
    target.go();
    expect((await restored.cr.done).status, target.output()).toBe(0);
  }));

test("a capability that cr has not got is not given", () =>
  withScene(async (scene) => {
    const target = await scene.start([fixture("calls"), "FOLDER"]);
    await target.says("ready");
    const core = join(scene.folder, "core");
    await checkpoint(scene, { target, core });
    await killHard(target);
    const under = ["setpriv", "--bounding-set", "-sys_boot"];
    const result = await scene.cr(["restore", core], { under });
    expectRefusal(result, { codes: ["CREDENTIALS"], status: FAILED_FOREGROUND, names: /CAP_SYS_BOOT/ });
  }));

test("a program comes back into its control group, and is told when that is gone", () =>
  withScene(async (scene) => {
    const group = `/sys/fs/cgroup/pids/recore-test-${process.pid}`;
    mkdirSync(group);
    try {
      const target = await scene.start([fixture("calls"), "FOLDER"]);
      await target.says("ready");
      writeFileSync(`${group}/cgroup.procs`, String(target.pid));
      const core = join(scene.folder, "core");
      await checkpoint(scene, { target, core });
      const restored = await restore(scene, { target, core });
      const life = await running(restored);
      expect(readFileSync(`${group}/cgroup.procs`, "utf8").trim()).toBe(String(target.pid));
      await killHard(life);
      rmdirSync(group);
      target.go();
      const end = await scene.cr(["restore", core]);
      expect(end.status).toBe(0);
      expect(end.stderr).toMatch(/control group \/recore-test.*not there any more/);
    } finally {
      if (existsSync(group)) rmdirSync(group);
    }
  }));

test("rows of /proc/PID/cgroup", () => {
  expect(parseMembership("4:cpu,cpuacct:/a:b\n1:name=systemd:/\n0::/x\n")).toEqual([
    { controllers: "cpu,cpuacct", path: "/a:b" },
    { controllers: "name=systemd", path: "/" },
    { controllers: "", path: "/x" },
  ]);
});
