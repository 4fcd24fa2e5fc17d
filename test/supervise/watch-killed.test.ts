/**
 * SIGKILL of `cr watch`, between two checkpoints and in the middle of one: the program it has write-protected goes on as if
 * nothing had been, all that has the name of a core is one, and the next watch begins anew.
 */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { describeResult, type RunningCr } from "../harness/cr.js";
import { restore, running } from "../harness/cycle.js";
import { eventually } from "../harness/eventually.js";
import { type Identity, runsFreely, statOf, statusLine } from "../harness/process.js";
import { type Scene, withScene } from "../harness/scene.js";
import { fixture, type Target } from "../harness/target.js";

const JOB = "job";
const CORE = /^core\.\d+\.\d{6}$/;
/** Long beside what a checkpoint of the program takes, so that there is time between two. */
const EVERY = "700ms";

/** A watched program: what of tracking is in it, and the cores that it has. */
interface Scenery {
  readonly scene: Scene;
  readonly target: Target;
  readonly folder: string;
}

async function withProgram(act: (scenery: Scenery) => Promise<void>): Promise<void> {
  await withScene(async (scene) => {
    const target = await scene.start([fixture("rewriter"), "FOLDER"]);
    await target.says("ready");
    await act({ scene, target, folder: join(scene.folder, "home", JOB) });
  });
}

/** Threads, children, tracked mappings, descriptors and mask: what would be left of a watch. */
function traces({ pid }: Identity): unknown {
  const tids = readdirSync(`/proc/${pid}/task`);
  return {
    threads: tids.length,
    children: tids.map((tid) => readFileSync(`/proc/${pid}/task/${tid}/children`, "latin1")).join(""),
    tracked: trackedOf(pid),
    descriptors: readdirSync(`/proc/${pid}/fd`).length,
    blocked: statusLine(pid, "SigBlk"),
  };
}

/** How many mappings are write-protected for a userfaultfd (proc_pid_smaps(5)). */
function trackedOf(pid: number): number {
  return readFileSync(`/proc/${pid}/smaps`, "latin1").match(/^VmFlags:.* uw/gm)?.length ?? 0;
}

function coresIn(folder: string): string[] {
  try {
    return readdirSync(folder).filter((name) => CORE.test(name));
  } catch {
    return [];
  }
}

function startWatch({ scene, target }: Scenery, fault = ""): RunningCr {
  const args = ["watch", `${target.pid}`, "--every", EVERY, "--name", JOB, "--keep-last", "100", "--json"];
  const env = { CR_HOME: join(scene.folder, "home"), ...(fault !== "" && { CR_FAULT: fault }) };
  return scene.startCr([...args, "--mode", "live"], { env });
}

/** What a watch that has ended said of its checkpoints. */
async function generationsOf(watch: RunningCr): Promise<{ core: string; parent?: string }[]> {
  const { stdout } = await watch.done;
  const events = stdout.split("\n").filter((line) => line.includes('"event":"generation"'));
  return events.map((line) => JSON.parse(line) as { core: string; parent?: string });
}

async function killed(watch: RunningCr): Promise<void> {
  process.kill(watch.pid, "SIGKILL");
  expect((await watch.done).signal).toBe("SIGKILL");
}

/** The program is as it was before any watch, and whatever has the name of a core is whole. */
async function expectUnharmed({ scene, target, folder }: Scenery, before: unknown): Promise<void> {
  await eventually("it goes on", () => runsFreely(target));
  await eventually(
    () => `nothing is left: ${JSON.stringify(traces(target))}`,
    () => JSON.stringify(traces(target)) === JSON.stringify(before),
  );
  const env = { CR_HOME: join(scene.folder, "home") };
  const verified = await scene.cr(["verify", JOB], { env });
  expect(verified.status, describeResult(verified)).toBe(0);
  expect(verified.stdout.match(/: whole, /g)?.length, verified.stdout).toBe(coresIn(folder).length);
  // The lock of a watch that was killed is taken away by the next one.
  const others = readdirSync(folder).filter((name) => !CORE.test(name));
  expect(others.filter((name) => !name.startsWith("lock."))).toEqual([]);
}

/** Restores a core in the place of whoever has the pid, and returns it. */
async function restored({ scene, target }: Scenery, life: Identity, core: string) {
  const one = await restore(scene, { target: { ...target, ...life }, core });
  return { life: await running(one), cr: one.cr };
}

test("between checkpoints, again and again: nothing is left of the tracking, and the next begins with a whole core", () =>
  withProgram(async (scenery) => {
    const { target, folder } = scenery;
    const before = traces(target);
    for (const time of [1, 2, 3, 4]) {
      const count = coresIn(folder).length;
      const watch = startWatch(scenery);
      // A whole core and one that builds on it; then the program runs on, its memory protected.
      await eventually("two generations", () => coresIn(folder).length >= count + 2);
      await eventually("it runs between checkpoints", () => runsFreely(target));
      expect(trackedOf(target.pid), `watch ${time}`).toBeGreaterThan(0);
      await killed(watch);
      const [first, second] = await generationsOf(watch);
      expect(first?.parent).toBeUndefined();
      if (second !== undefined) expect(second.parent).toBe(first?.core);
      await expectUnharmed(scenery, before);
    }
    target.go();
    expect(await target.ended(), target.output()).toBe("exited 0");
  }));

test.each(["after-round", "after-freeze", "after-copy", "before-commit"])(
  "in the middle of the second checkpoint (%s): the first stands, and a later watch goes on from a whole one",
  (point) =>
    withProgram(async (scenery) => {
      const { target, folder } = scenery;
      const before = traces(target);
      const watch = startWatch(scenery, `${point}:hold`);
      const isHeld = () => statOf(watch.pid)?.state === "T";
      await eventually("the first generation", () => {
        if (isHeld()) process.kill(watch.pid, "SIGCONT");
        return coresIn(folder).length === 1;
      });
      await eventually("cr is held in the second", isHeld);
      await killed(watch);
      expect(coresIn(folder)).toHaveLength(1);
      await expectUnharmed(scenery, before);

      const next = startWatch(scenery);
      await eventually("two more generations", () => coresIn(folder).length >= 3);
      process.kill(next.pid, "SIGINT");
      const [first, second] = await generationsOf(next);
      expect(first?.parent).toBeUndefined();
      expect(second?.parent).toBe(first?.core);
      await expectUnharmed(scenery, before);
      expect(readdirSync(folder)).toEqual(coresIn(folder));
      const whole = await restored(scenery, target, first?.core ?? "");
      const delta = await restored(scenery, whole.life, second?.core ?? "");
      target.go();
      const end = await delta.cr.done;
      expect(end.status, `${describeResult(end)}\nit said: ${target.output()}`).toBe(0);
    }),
);
