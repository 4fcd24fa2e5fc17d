/**
 * SIGKILL of `cr checkpoint --kill` at system-call boundaries: the program and its core are never both lost. Either
 * the program goes on as if nothing had been, or it is gone and the core under the final name is whole.
 */
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { afterEach, beforeAll, beforeEach, expect, it } from "vitest";
import { chooseBoundaries } from "./boundaries.js";
import { buildPrograms } from "./build.js";
import { type KilledRun, runKilled } from "./killed-run.js";
import { CR, checkpointCommand, corePath, requireBuilt } from "./tool.js";
import {
  endTarget,
  findHarm,
  hasEnded,
  holdSnapshots,
  startTarget,
  type WatchedTarget,
} from "./watched-target.js";

const KIND = { program: "target", mode: "compute" } as const;
const SAMPLE_SIZE = 24;
/** Half an hour for all boundaries on a quiet machine. */
const TEST_MS_MAX = process.env.CR_TORTURE === undefined ? 180_000 : 7_200_000;

let folder: string;
let target: WatchedTarget;

beforeAll(() => {
  requireBuilt();
  buildPrograms();
});

beforeEach(() => {
  folder = mkdtempSync(`${tmpdir()}/cr-kill-`);
  target = startTarget(KIND, folder);
});

afterEach(() => {
  endTarget(target);
  rmSync(folder, { recursive: true, force: true });
});

it("cr checkpoint --kill, killed itself, leaves the program or its whole core", {
  timeout: TEST_MS_MAX,
}, async () => {
  const whole = await checkpointAndKill();
  expect(whole, whole.output).toMatchObject({ exitStatus: 0, killed: false });
  expect(hasEnded(target)).toBe(true);

  const losses: string[] = [];
  target = startTarget(KIND, folder);
  for (const boundary of chooseBoundaries(whole, SAMPLE_SIZE)) {
    const run = await checkpointAndKill(boundary);
    const harm = await findHarm(target);
    if (harm === null) continue;
    const loss = coreIsWhole() && hasEnded(target) ? null : harm;
    if (loss !== null) losses.push(`boundary ${boundary} (${run.killedIn}): ${loss}`);
    endTarget(target);
    target = startTarget(KIND, folder);
  }
  expect(losses).toEqual([]);
});

async function checkpointAndKill(killAt?: number): Promise<KilledRun> {
  await holdSnapshots(target);
  const command = [...checkpointCommand(target.pid, folder), "--kill"];
  const from = `path:/proc/${target.pid}/` as const;
  return runKilled({ command, from, ...(killAt !== undefined && { killAt }) });
}

function coreIsWhole(): boolean {
  return spawnSync(process.execPath, [CR, "verify", corePath(target.pid, folder)]).status === 0;
}
