/**
 * A scene is what one test has outside itself: a temporary folder and the processes started in it. When the test
 * ends, its targets are killed, and any other process of the scene that still lives makes the test fail: nothing
 * that cr starts may be left behind. Processes are found by a mark in their environment.
 */
import { chmodSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type CrOptions, type CrResult, type RunningCr, spawnCr } from "./cr.js";
import { eventually } from "./eventually.js";
import { findByEnvironment, type Identity, identify, killHard } from "./process.js";
import { type LaunchOptions, launch, type Target } from "./target.js";

export interface Scene {
  readonly folder: string;
  /** Starts a program that is no relative of the test; killed at the end of the scene. */
  start(argv: readonly string[], options?: LaunchOptions): Promise<Target>;
  /** Runs cr to its end. */
  cr(args: readonly string[], options?: CrOptions): Promise<CrResult>;
  /** Starts cr and lets it run. */
  startCr(args: readonly string[], options?: CrOptions): RunningCr;
  /** Takes over a process that cr left running on purpose (--detach). */
  adopt(pid: number): Identity;
}

/** Runs `act` in a fresh scene and clears the scene away. */
export async function withScene(act: (scene: Scene) => Promise<void>): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), "recore-test-"));
  // Programs of another user work in it too.
  chmodSync(folder, 0o755);
  const mark = { RECORE_SCENE: folder };
  const owned: Identity[] = [];
  let passed = false;
  const startCr = (args: readonly string[], options: CrOptions = {}) =>
    spawnCr(args, { cwd: folder, ...options, env: { ...mark, ...options.env } });
  try {
    await act({
      folder,
      start: async (argv, options = {}) => {
        const target = await launch(join(folder, `target${owned.length}`), argv, {
          ...options,
          env: { ...mark, ...options.env },
        });
        owned.push(target);
        return target;
      },
      cr: (args, options) => startCr(args, options).done,
      startCr,
      adopt: (pid) => {
        const identity = identify(pid);
        owned.push(identity);
        return identity;
      },
    });
    passed = true;
  } finally {
    try {
      for (const identity of owned) await killHard(identity);
      await clearAway(`RECORE_SCENE=${folder}`, passed);
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  }
}

/** It may have ended since it was found. */
async function killIfThere(pid: number): Promise<void> {
  try {
    await killHard(identify(pid));
  } catch {
    return;
  }
}

/** What still runs gets a moment to end with its target; what does not is killed, and fails a passed test. */
async function clearAway(mark: string, complain: boolean): Promise<void> {
  try {
    await eventually("no process is left", () => findByEnvironment(mark).length === 0, { timeoutMs: 3_000 });
  } catch {
    const left = findByEnvironment(mark);
    for (const { pid } of left) await killIfThere(pid);
    if (complain) {
      throw new Error(`left behind: ${left.map(({ pid, command }) => `${pid} ${command}`).join("; ")}`);
    }
  }
}
