/**
 * SIGKILL of `cr checkpoint` while it borrows a program that soon writes over all memory below its stack pointer: whoever of
 * ours is in there gets home before the program goes on.
 */
import { join } from "node:path";
import { beforeAll, expect, test } from "vitest";
import { checkpoint } from "../harness/cycle.js";
import { eventually } from "../harness/eventually.js";
import { isAlive, runsFreely } from "../harness/process.js";
import { withScene } from "../harness/scene.js";
import { fixture } from "../harness/target.js";
import { buildPrograms } from "./build.js";
import { runKilled } from "./killed-run.js";
import { checkpointCommand, requireBuilt } from "./tool.js";

const TEST_MS_MAX = 180_000;
/** Of a checkpoint with so many threads beside the main one: boundaries since it first set a signal mask. */
const KINDS = [
  { mode: "live", threads: 0, from: 0, to: 100, step: 4 },
  { mode: "stop", threads: 6, from: 330, to: 630, step: 12 },
] as const;

beforeAll(() => {
  requireBuilt();
  buildPrograms();
});

test.each(KINDS)(
  "--mode $mode beside $threads threads harms no program deep in its stack",
  { timeout: TEST_MS_MAX },
  ({ mode, threads, from, to, step }) =>
    withScene(async (scene) => {
      const target = await scene.start([fixture("descent"), "FOLDER", `${threads}`]);
      await target.says("ready");
      const command = checkpointCommand(target.pid, scene.folder, mode);
      for (let killAt = from; killAt < to; killAt += step) {
        const run = await runKilled({ command, from: "borrow", killAt });
        expect(run.killed, run.output).toBe(true);
        await eventually("it goes on", () => runsFreely(target) || !isAlive(target));
        expect(isAlive(target), `${killAt} (${run.killedIn}): ${target.output()}`).toBe(true);
      }
      await checkpoint(scene, { target, core: join(scene.folder, "core"), extra: ["--mode", mode] });
      target.go();
      // Its threads come last on a CPU that they share with other tests.
      expect(await target.ended({ timeoutMs: TEST_MS_MAX / 2 }), target.output()).toBe("exited 0");
    }),
);
