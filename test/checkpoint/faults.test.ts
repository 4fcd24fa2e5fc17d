/**
 * cr fails or is killed at its named points: a target goes on unharmed, nothing unfinished is left on the disk, an
 * earlier core is intact; a failed restore leaves no process and no changed file. (test/torture does it everywhere.)
 */
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { describeResult } from "../harness/cr.js";
import { checkpoint } from "../harness/cycle.js";
import { eventually } from "../harness/eventually.js";
import { findByEnvironment, killHard, runsFreely, statOf } from "../harness/process.js";
import { listing } from "../harness/refusal.js";
import { withScene } from "../harness/scene.js";
import { fixture } from "../harness/target.js";

const CHECKPOINT_POINTS = ["after-seize", "after-freeze", "after-remote", "after-copy", "before-commit"];
const RESTORE_POINTS = ["restore-after-spawn", "restore-after-rebuild"];

describe("cr checkpoint", () => {
  test.concurrent.each(CHECKPOINT_POINTS)("%s: the target goes on, the earlier core stays", (point) =>
    withScene(async (scene) => {
      const target = await scene.start([fixture("vector"), "FOLDER"]);
      await target.says("ready");
      const core = join(scene.folder, "core");
      writeFileSync(core, "precious");
      const before = listing(scene.folder);
      for (const fault of [point, `${point}:error`]) {
        // The core is not durable yet, so --kill must not have killed.
        for (const extra of point === "before-commit" ? [[], ["--kill"]] : [[]]) {
          const args = ["checkpoint", `${target.pid}`, "-o", core, "--force", ...extra];
          const result = await scene.cr(args, { env: { CR_FAULT: fault } });
          const said = describeResult(result);
          if (fault === point) expect(result.signal, said).toBe("SIGKILL");
          else
            expect({ status: result.status, stderr: result.stderr }, said).toMatchObject({
              status: 1,
              stderr: expect.stringContaining(`fault point ${point}`),
            });
          await eventually("it goes on", () => runsFreely(target));
          expect(readFileSync(core, "utf8")).toBe("precious");
          expect(listing(scene.folder)).toEqual(before);
        }
      }
      target.go();
      expect(await target.ended(), target.output()).toBe("exited 0");
    }),
  );
});

describe("cr restore", () => {
  test.concurrent.each(RESTORE_POINTS)(
    "%s: no process is left, no file was changed, and it can be tried again",
    (point) =>
      withScene(async (scene) => {
        const target = await scene.start([fixture("counter"), "FOLDER", "1000", "5000"]);
        await target.says("\n10\n");
        const core = join(scene.folder, "core");
        await checkpoint(scene, { target, core });
        await target.says("\n30\n");
        await killHard(target);
        const [files, output] = [listing(scene.folder), target.output()];
        for (const [fault, extra, end] of [
          [point, [], { signal: "SIGKILL" }],
          [`${point}:error`, [], { status: 125 }],
          [`${point}:error`, ["--detach"], { status: 1 }],
        ] as const) {
          const result = await scene.cr(["restore", core, ...extra], { env: { CR_FAULT: fault } });
          expect(result, describeResult(result)).toMatchObject(end);
          await eventually("the pid is free", () => statOf(target.pid) === null);
          expect(findByEnvironment(`RECORE_SCENE=${scene.folder}`)).toEqual([]);
          expect(listing(scene.folder)).toEqual(files);
          expect(target.output()).toBe(output);
        }
        const result = await scene.cr(["restore", core]);
        expect(result.status, describeResult(result)).toBe(0);
        expect(target.output()).toMatch(/\n998\n999\nok\n$/);
        expect(existsSync(core)).toBe(true);
      }),
  );
});
