/**
 * The order in which a core comes to be, from a trace of the tool's system calls: a temporary file in the same folder,
 * its data, fsync, rename, fsync of the folder, and only then the end of the target (--kill) and exit 0.
 */
import { existsSync, mkdtempSync, realpathSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname } from "node:path";
import { afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { buildPrograms } from "./build.js";
import { namesUntil, readSteps, sameFolder, type TraceStep } from "./call-trace.js";
import { runKilled } from "./killed-run.js";
import { checkpointCommand, corePath, requireBuilt } from "./tool.js";
import { endTarget, holdSnapshots, startTarget, type WatchedTarget } from "./watched-target.js";

const SIGKILL = 9;
let folder: string;
let target: WatchedTarget;

beforeAll(() => {
  requireBuilt();
  buildPrograms();
});

beforeEach(() => {
  folder = realpathSync(mkdtempSync(`${tmpdir()}/cr-order-`));
  target = startTarget({ program: "target", mode: "sleep" }, folder);
});

afterEach(() => {
  endTarget(target);
  rmSync(folder, { recursive: true, force: true });
});

describe("cr checkpoint writes in a safe order", () => {
  it("makes the data durable, then the name, then exits 0", async () => {
    const steps = await traceCheckpoint([]);
    expectSafeOrder(steps);
    expect(steps.some(({ kind }) => kind === "kill")).toBe(false);
    expect(statSync(corePath(target.pid, folder)).mode & 0o777).toBe(0o600);
  });

  it("does the same over an earlier core, which stays under its name until the rename", async () => {
    await traceCheckpoint([]);
    const steps = await traceCheckpoint(["--force"]);
    expectSafeOrder(steps);
    const core = corePath(target.pid, folder);
    const touched = steps.filter(({ kind, path }) => path === core && (kind === "create" || kind === "data"));
    expect(touched).toEqual([]);
  });

  it("kills the target only when the core is durable", async () => {
    const steps = await traceCheckpoint(["--kill"]);
    const { folderSynced, exited } = expectSafeOrder(steps);
    const killed = steps.findIndex(({ kind, value }) => kind === "kill" && value === SIGKILL);
    expect(killed).toBeGreaterThan(folderSynced);
    expect(exited).toBeGreaterThan(killed);
  });
});

async function traceCheckpoint(flags: readonly string[]): Promise<TraceStep[]> {
  const trace = `${folder}/trace`;
  const command = [...checkpointCommand(target.pid, folder).filter((word) => word !== "--force"), ...flags];
  await holdSnapshots(target);
  const run = await runKilled({ command, from: "exec", trace });
  expect(run, run.output).toMatchObject({ exitStatus: 0 });
  expect(existsSync(corePath(target.pid, folder))).toBe(true);
  return readSteps(trace, process.cwd());
}

/** Checks each step against the one before it; where the folder was synced and where the tool ended. */
function expectSafeOrder(steps: readonly TraceStep[]): { folderSynced: number; exited: number } {
  const core = corePath(target.pid, folder);
  const names = namesUntil(steps, core);
  const first = names[0] ?? "";
  const created = steps.findIndex(({ kind, path }) => kind === "create" && path === first);
  const lastData = steps.findLastIndex(({ kind, path }) => kind === "data" && names.includes(path));
  const synced = steps.findIndex(
    (step, at) => at > lastData && step.kind === "sync" && names.includes(step.path),
  );
  const published = steps.findIndex(({ kind, path }) => kind === "publish" && path === core);
  const folderSynced = steps.findIndex(
    ({ kind, path }, at) => at > published && kind === "sync" && path === dirname(core),
  );
  const exited = steps.findIndex(({ kind, value }) => kind === "exit" && value === 0);
  expect(names.length, "the core had another name first").toBeGreaterThan(1);
  expect(names.every((name) => sameFolder(name, core))).toBe(true);
  const order = { created, lastData, synced, published, folderSynced, exited };
  expect(Math.min(...Object.values(order)), JSON.stringify(order)).toBeGreaterThanOrEqual(0);
  expect(Object.values(order), JSON.stringify(order)).toEqual(
    Object.values(order).toSorted((one, other) => one - other),
  );
  return { folderSynced, exited };
}
