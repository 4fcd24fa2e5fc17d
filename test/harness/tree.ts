/**
 * The moves of a life with checkpoints for a process tree: checkpoint it into a bundle, kill everything that runs of
 * the scene, restore it in the foreground.
 */
import { readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { expect } from "vitest";
import { describeResult, jsonOf, type RunningCr } from "./cr.js";
import type { CheckpointOptions } from "./cycle.js";
import { eventually } from "./eventually.js";
import { findByEnvironment, type Identity, identify, runsFreely, statOf, statusLine } from "./process.js";
import type { Scene } from "./scene.js";
import { fixture } from "./target.js";

/** Pids in the manifest of a bundle, the root's first; none for the core of a process that had no children just then. */
export function membersOf(bundle: string): number[] {
  if (statSync(bundle).isFile()) return [];
  const { body } = JSON.parse(readFileSync(join(bundle, "manifest.json"), "utf8")) as {
    body: { members: { pid: number }[] };
  };
  return body.members.map(({ pid }) => pid);
}

/** Checkpoints a tree into `bundle` and expects its root to run on, unless `--kill` ends it; what --json printed. */
export async function checkpointTree(
  scene: Scene,
  { target, bundle, extra = [], ...options }: { target: Identity; bundle: string } & CheckpointOptions,
): Promise<Record<string, unknown>> {
  const result = await scene.cr(["checkpoint", `${target.pid}`, "-o", bundle, "--json", ...extra], options);
  expect(result.status, describeResult(result)).toBe(0);
  if (!extra.includes("--kill")) expect(runsFreely(target), `state ${statOf(target.pid)?.state}`).toBe(true);
  return jsonOf(result);
}

/** Kills every program of the scene, whoever its parent is by now, and waits until they and `members` have left their numbers. */
export async function killTree(scene: Scene, members: readonly number[]): Promise<void> {
  const killed = new Set(members);
  const running = () =>
    findByEnvironment(`RECORE_SCENE=${scene.folder}`).filter(
      ({ command }) => !command.startsWith(fixture("launch")) && !/(^|\/)node /.test(command),
    );
  for (let left = running(); left.length > 0; left = running()) {
    // All before any is waited for: who ends later is reaped by the same slow pid 1.
    for (const { pid } of left) kill(pid);
    for (const { pid } of left) killed.add(pid);
  }
  await eventually(
    () => `the tree is gone: ${[...killed].filter((pid) => statOf(pid) !== null)}`,
    () => [...killed].every((pid) => statOf(pid) === null),
  );
}

function kill(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch {
    return;
  }
}

export interface RestoredTree {
  readonly cr: RunningCr;
  /** The root; null when it had ended before it could be seen. */
  readonly root: Identity | null;
}

/** Restores a bundle in the foreground; returns when its root, `target`'s number, runs on its own, or has ended. */
export async function restoreTree(
  scene: Scene,
  { target, bundle, ...options }: { target: Identity; bundle: string } & CheckpointOptions,
): Promise<RestoredTree> {
  const root = target.pid;
  const cr = scene.startCr(["restore", bundle, ...(options.extra ?? [])], options);
  let isDone = false;
  cr.done.then(() => {
    isDone = true;
  });
  // The members are let go one after the other.
  const areFree = () => membersOf(bundle).every((pid) => ["", "0"].includes(statusLine(pid, "TracerPid")));
  const runs = () => statOf(root) !== null && runsFreely(identify(root)) && areFree() && identify(root);
  // A large tree on a busy machine takes its time.
  const found = await eventually(`${root} runs again`, () => isDone || runs(), { timeoutMs: 60_000 });
  return { cr, root: found === true ? null : found };
}
