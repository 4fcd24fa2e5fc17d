/**
 * SIGKILL of a checkpoint at system-call boundaries, before and after the call: the target, which checks itself, must
 * not notice, must not be left stopped or traced, and a core under the final name must stay whole.
 * A sample by default, every boundary with CR_TORTURE=all, another sample with CR_TORTURE=N.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { chooseBoundaries } from "./boundaries.js";
import { buildPrograms } from "./build.js";
import { findLoss, rememberCore } from "./earlier-core.js";
import { type KilledRun, runKilled } from "./killed-run.js";
import { checkpointCommand, corePath, IS_STAND_IN, requireBuilt } from "./tool.js";
import {
  endTarget,
  findHarm,
  holdSnapshots,
  startTarget,
  type TargetKind,
  type WatchedTarget,
} from "./watched-target.js";

/** All boundaries of one target take half an hour on a quiet machine. */
const TEST_MS_MAX = process.env.CR_TORTURE === undefined ? 180_000 : 7_200_000;

interface Kind extends TargetKind {
  readonly what: string;
  readonly sampleSize: number;
  /** How its memory is copied (`--mode`). */
  readonly way?: "live" | "fork";
}

const KINDS: readonly Kind[] = [
  { what: "computing with live vector registers", program: "target", mode: "compute", sampleSize: 40 },
  { what: "copied while it runs", program: "target", mode: "compute", way: "live", sampleSize: 20 },
  {
    what: "copied from a frozen copy",
    program: "target-threads",
    mode: "sleep",
    way: "fork",
    sampleSize: 20,
  },
  { what: "blocked in nanosleep", program: "target", mode: "sleep", sampleSize: 15 },
  { what: "with seven threads", program: "target-threads", mode: "compute", sampleSize: 20 },
  {
    what: "with a full TCP connection and unread messages",
    program: "target-tcp",
    mode: "compute",
    sampleSize: 40,
  },
  { what: "stopped by job control", program: "target-musl", mode: "compute", stopped: true, sampleSize: 15 },
  { what: "static musl without signal handlers", program: "target-musl", mode: "compute", sampleSize: 20 },
];

let folder: string;
let target: WatchedTarget | undefined;
let way: Kind["way"];

beforeAll(() => {
  requireBuilt();
  buildPrograms();
});

beforeEach(() => {
  folder = mkdtempSync(`${tmpdir()}/cr-torture-`);
});

afterEach(() => {
  if (target) endTarget(target);
  target = undefined;
  rmSync(folder, { recursive: true, force: true });
});

describe("cr checkpoint killed at any system call", () => {
  it.each(KINDS)(
    "harms neither a target $what nor the earlier core",
    { timeout: TEST_MS_MAX },
    async (kind) => {
      target = startTarget(kind, folder);
      way = kind.way;
      const whole = await checkpointWhole(target);
      expect(await findHarm(target)).toBeNull();
      expect(whole.seizedAt, "the tool seizes its target").toBeGreaterThanOrEqual(0);

      const harms: string[] = [];
      for (const boundary of chooseBoundaries(whole, kind.sampleSize)) {
        const harm = await killAt(boundary);
        if (harm === null) continue;
        harms.push(harm);
        endTarget(target);
        target = startTarget(kind, folder);
        await checkpointWhole(target);
      }
      expect(harms).toEqual([]);
    },
  );
});

/** One run that is killed at a boundary; what it harmed, with the place, or null. */
async function killAt(boundary: number): Promise<string | null> {
  if (target === undefined) throw new TypeError("no target has been started");
  const core = corePath(target.pid, folder);
  const earlier = rememberCore(core);
  const run = await checkpoint(target, boundary);
  const failed = !run.killed && run.exitStatus !== 0 ? `the tool failed by itself: ${run.output}` : null;
  const harm = failed ?? (await findHarm(target)) ?? findLoss(earlier, rememberCore(core), !IS_STAND_IN);
  return harm && `boundary ${boundary} (${run.killedIn}): ${harm}`;
}

/** A run that is let to its end, and must do what it says. */
async function checkpointWhole(of: WatchedTarget): Promise<KilledRun> {
  const run = await checkpoint(of);
  expect(run, run.output).toMatchObject({ exitStatus: 0, killed: false });
  return run;
}

async function checkpoint(of: WatchedTarget, killAt?: number): Promise<KilledRun> {
  await holdSnapshots(of);
  const command = checkpointCommand(of.pid, folder, way);
  return runKilled({ command, from: `path:/proc/${of.pid}/`, ...(killAt !== undefined && { killAt }) });
}
