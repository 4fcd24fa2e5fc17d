/** Whose rights a restore has: root restores an ordinary user's core as that user, and a launcher lends cr just enough. */
import { chmodSync, chownSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { describeResult, NOBODY } from "../harness/cr.js";
import { checkpoint, restore, running } from "../harness/cycle.js";
import { killHard, statusLine } from "../harness/process.js";
import { expectRefusal, FAILED_FOREGROUND } from "../harness/refusal.js";
import { withScene } from "../harness/scene.js";
import { fixture } from "../harness/target.js";

const asNobody = true;

describe("root with a core of nobody's", () => {
  test("restores it as nobody, under its pid, with no right of root's left", () =>
    withScene(async (scene) => {
      const target = await scene.start([fixture("threads"), "FOLDER", "2"], { asNobody });
      await target.says("ready");
      const core = join(target.folder, "core");
      await checkpoint(scene, { target, core, asNobody });
      const restored = await restore(scene, { target, core });
      const life = await running(restored);
      expect(statusLine(life.pid, "Uid").split(/\s+/)).toEqual(Array(4).fill(String(NOBODY)));
      for (const set of ["CapInh", "CapPrm", "CapEff", "CapAmb"]) {
        expect(statusLine(life.pid, set)).toMatch(/^0+$/);
      }
      target.go();
      expect((await restored.cr.done).status, target.output()).toBe(0);
      expect(target.output()).toMatch(/ok\n$/);
    }));

  test("opens only what nobody may open", () =>
    withScene(async (scene) => {
      const log = join(scene.folder, "log");
      writeFileSync(log, "");
      chownSync(log, NOBODY, NOBODY);
      const script = "import sys,time; f=open(sys.argv[1],'a'); print('ready',flush=True); time.sleep(1000)";
      const target = await scene.start(["/usr/bin/python3", "-c", script, log], { asNobody });
      await target.says("ready");
      const core = join(target.folder, "core");
      await checkpoint(scene, { target, core, asNobody });
      await killHard(target);
      chownSync(log, 0, 0);
      chmodSync(log, 0o600);
      const result = await scene.cr(["restore", core]);
      expectRefusal(result, { codes: ["NOT_PERMITTED"], status: FAILED_FOREGROUND, names: /log/ });
    }));

  test("refuses one that claims to be root's program", () =>
    withScene(async (scene) => {
      const target = await scene.start([fixture("calls"), "FOLDER"]);
      await target.says("ready");
      const core = join(scene.folder, "core");
      await checkpoint(scene, { target, core });
      await killHard(target);
      chownSync(core, NOBODY, NOBODY);
      const result = await scene.cr(["restore", core]);
      const names = /it had the groups 0, which are not his|it ran as root, cr runs as nobody/;
      expectRefusal(result, { codes: ["CREDENTIALS"], status: FAILED_FOREGROUND, names });
    }));

  test("a core that others may write to is not restored", () =>
    withScene(async (scene) => {
      const target = await scene.start([fixture("calls"), "FOLDER"], { asNobody });
      await target.says("ready");
      const core = join(target.folder, "core");
      await checkpoint(scene, { target, core, asNobody });
      chmodSync(core, 0o622);
      const result = await scene.cr(["restore", core]);
      expectRefusal(result, { codes: ["CORE_NOT_OWNED"], status: FAILED_FOREGROUND, names: /mode is 0622/ });
    }));
});

test("with the capability that a launcher lends it, nobody's cr chooses pids", () =>
  withScene(async (scene) => {
    const target = await scene.start([fixture("threads"), "FOLDER", "2"], { asNobody });
    await target.says("ready");
    const core = join(target.folder, "core");
    const under = [
      ...["setpriv", "--reuid", String(NOBODY), "--regid", String(NOBODY), "--clear-groups"],
      ...["--inh-caps", "+checkpoint_restore", "--ambient-caps", "+checkpoint_restore"],
    ];
    await checkpoint(scene, { target, core, under });
    const { cr } = await restore(scene, { target, core, under, extra: ["--pid", "keep"] });
    target.go();
    const end = await cr.done;
    expect(end.status, describeResult(end)).toBe(0);
    expect(target.output()).toMatch(/ok\n$/);
  }));
