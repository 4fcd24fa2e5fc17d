/** How many system calls a target stands still for: each is time that the program does not get. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { beforeAll, expect, it } from "vitest";
import { withScene } from "../harness/scene.js";
import { fixture } from "../harness/target.js";
import { buildPrograms } from "./build.js";
import { runKilled } from "./killed-run.js";
import { checkpointCommand, requireBuilt } from "./tool.js";

/** What is promised for an idle program of one thread, beside the calls that wait for it to stop. */
const CALLS_MAX = 380;
/** Node may collect garbage meanwhile, and a busy machine makes cr wait: the best of so many runs is the tool's own. */
const RUNS = 3;

beforeAll(() => {
  requireBuilt();
  buildPrograms();
});

it("an idle program of one thread stands for fewer than 380 system calls", () =>
  withScene(async (scene) => {
    const target = await scene.start([fixture("calls"), "FOLDER"]);
    await target.says("ready");
    const folder = mkdtempSync(`${tmpdir()}/cr-calls-`);
    try {
      const counts: number[] = [];
      for (let run = 0; run < RUNS; run += 1) {
        const { stopCalls, exitStatus } = await runKilled({
          command: checkpointCommand(target.pid, folder),
          from: "seize",
        });
        expect(exitStatus).toBe(0);
        counts.push(stopCalls);
      }
      expect(Math.min(...counts), `calls in the stop: ${counts.join(", ")}`).toBeLessThan(CALLS_MAX);
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  }));
