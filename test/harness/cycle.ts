/**
 * The moves of a life with checkpoints: checkpoint a target and see that it runs on, kill it, restore it in the
 * foreground or the background and see it run.
 */
import { expect } from "vitest";
import { type CrOptions, type CrResult, describeResult, jsonOf, type RunningCr } from "./cr.js";
import { eventually, sleep } from "./eventually.js";
import { exeOf, type Identity, identify, killHard, runsFreely, statOf, statusLine } from "./process.js";
import type { Scene } from "./scene.js";

export interface CheckpointOptions extends CrOptions {
  /** Arguments behind `checkpoint PID -o CORE --json`. */
  readonly extra?: readonly string[];
}

/** What is checkpointed or restored. */
type Subject = { readonly target: Identity; readonly core: string } & CheckpointOptions;

/** Checkpoints into `core`, expects success and a target that goes on; the object that --json printed. */
export async function checkpoint(scene: Scene, subject: Subject): Promise<Record<string, unknown>> {
  const { target } = subject;
  const told = await save(scene, subject);
  expect(runsFreely(target), `state ${statOf(target.pid)?.state}`).toBe(true);
  return told;
}

/** The same of a target that may come to its end while the core is still written: its copy was taken before. */
export async function save(
  scene: Scene,
  { target, core, ...options }: Subject,
): Promise<Record<string, unknown>> {
  const args = ["checkpoint", String(target.pid), "-o", core, "--json", ...(options.extra ?? [])];
  const result = await scene.cr(args, options);
  expect(result.status, describeResult(result)).toBe(0);
  return jsonOf(result);
}

/** How long the numbers of a program are waited for, in ms. */
const PATIENCE_MS = 30_000;
/** How long a program lives at most, in ms. */
const LIFE_MS = 150_000;

export interface Restored {
  readonly cr: RunningCr;
  /** The restored process; null when it had ended before it could be seen. */
  readonly program: Identity | null;
}

/**
 * Kills what holds the pid and restores `core` in the foreground. Returns when the program runs on its own or, if
 * it is that short, when it has ended.
 */
export async function restore(scene: Scene, { target, core, ...options }: Subject): Promise<Restored> {
  const exe = exeOf(target.pid);
  await killHard(target);
  for (const deadline = Date.now() + PATIENCE_MS; ; ) {
    const cr = scene.startCr(["restore", core, ...(options.extra ?? [])], options);
    let end: CrResult | null = null;
    cr.done.then((result) => {
      end = result;
    });
    // Until it is let go, the new process is traced, or still is a copy of cr.
    await eventually(
      `${target.pid} runs ${exe} again`,
      () => end !== null || (exeOf(target.pid) === exe && statusLine(target.pid, "TracerPid") === "0"),
      // One that had come to its end before it was killed is seen when the restored one ends.
      { timeoutMs: LIFE_MS },
    );
    if (end === null) return { cr, program: identify(target.pid) };
    // Another test has got the number of a thread: there are not so many.
    if (!(end as CrResult).stderr.includes("PID_TAKEN") || Date.now() > deadline)
      return { cr, program: null };
    await sleep(200);
  }
}

/** The restored program's identity; fails with what cr said when there is none. */
export async function running(restored: Restored): Promise<Identity> {
  if (restored.program) return restored.program;
  throw new Error(`the restored program is not there: ${describeResult(await restored.cr.done)}`);
}
