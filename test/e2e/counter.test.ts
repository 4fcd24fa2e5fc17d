/** The counter in every kind of executable: the numbers it prints over a kill and a restore are those of one life. */

import { statSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { describeResult, NOBODY } from "../harness/cr.js";
import { checkpoint, restore } from "../harness/cycle.js";
import { eventually, sleep } from "../harness/eventually.js";
import { killHard } from "../harness/process.js";
import { withScene } from "../harness/scene.js";
import { fixture } from "../harness/target.js";

const COUNT = 400;
const EXPECTED = `ready\n${Array.from({ length: COUNT }, (_, number) => `${number}\n`).join("")}ok\n`;
const KINDS = [
  "counter",
  "counter.nopie",
  "counter.static",
  "counter.staticpie",
  "counter.musl",
  "counter.muslstatic",
];
const counter = (name: string) => [fixture(name), "FOLDER", String(COUNT), "10000"];

describe("counter", () => {
  test.concurrent.each(KINDS)("%s prints on from the checkpoint, nothing lost or doubled", (name) =>
    withScene(async (scene) => {
      const target = await scene.start(counter(name));
      await target.says("\n30\n");
      const core = join(scene.folder, "core");
      await checkpoint(scene, { target, core });
      // It prints on; what it printed after the checkpoint is rolled back.
      await sleep(200);
      const { cr } = await restore(scene, { target, core });
      const end = await cr.done;
      expect(end.status, describeResult(end)).toBe(0);
      expect(target.output()).toBe(EXPECTED);
    }),
  );

  test.concurrent("is restored in the background with --detach, under its pid", () =>
    withScene(async (scene) => {
      const target = await scene.start(counter("counter"));
      await target.says("\n30\n");
      const core = join(scene.folder, "core");
      await checkpoint(scene, { target, core });
      await killHard(target);
      const result = await scene.cr(["restore", "--detach", core]);
      expect(result.status, describeResult(result)).toBe(0);
      expect(result.stdout.trim().split("\n").at(-1)).toBe(String(target.pid));
      const life = scene.adopt(target.pid);
      await eventually("it counts to the end", () => target.output().endsWith("ok\n"));
      await killHard(life);
      expect(target.output()).toBe(EXPECTED);
    }));

  test.concurrent("can be checkpointed by its unprivileged owner", () =>
    withScene(async (scene) => {
      const target = await scene.start(counter("counter"), { asNobody: true });
      await target.says("\n30\n");
      const core = join(target.folder, "core");
      await checkpoint(scene, { target, core, asNobody: true, cwd: target.folder });
      const { uid, mode } = statSync(core);
      expect({ uid, mode: mode & 0o777 }).toEqual({ uid: NOBODY, mode: 0o600 });
      expect(await target.ended()).toBe("exited 0");
      expect(target.output()).toBe(EXPECTED);
    }));
});
