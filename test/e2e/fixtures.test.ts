/**
 * Every fixture through its three lives: checkpointed only (it must not notice), killed and restored once, and three
 * times over. A fixture names what differs; here it is only asked whether it said `ok`.
 */
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { describeResult } from "../harness/cr.js";
import { checkpoint, type Restored, restore, running } from "../harness/cycle.js";
import type { Identity } from "../harness/process.js";
import { type Scene, withScene } from "../harness/scene.js";
import { fixture, type Target } from "../harness/target.js";

const VARIANTS = ["nopie", "static", "staticpie", "musl", "muslstatic"];
const VARIED = ["heap", "brk", "anon", "vector"];

/** Name of the fixture, then its arguments behind the folder. */
const FIXTURES: readonly (readonly string[])[] = [
  ...VARIED.flatMap((name) => [[name], ...VARIANTS.map((variant) => [`${name}.${variant}`])]),
  ["stack"],
  ["speckled"],
  ["rewriter"],
  ["shared"],
  ["filemap"],
  ["advice"],
  ["signals"],
  ["pending"],
  ["altstack"],
  ["itimer", "left"],
  ["itimer", "ticks"],
  ["itimer", "pending"],
  ["posix-timer", "left"],
  ["posix-timer", "ticks"],
  ["posix-timer", "pending"],
  ["posix-timer", "once"],
  ["attributes"],
  ["identity"],
  ["seccomp"],
  ["clock"],
  ["policy", "fifo"],
  ["policy", "rr"],
  ["policy", "batch"],
  ["policy", "idle"],
  ["policy", "deadline"],
  ["files"],
  ["deleted"],
  ["pipes"],
  ["objects"],
  ["epolls"],
  ["inotify"],
  ["mutexes"],
  ["sockets"],
  ["thread-area"],
  ["threads", "1"],
  ["threads", "2"],
  ["threads", "64"],
  ["locks"],
  ["churn"],
  ["lockstep"],
];

async function begin(scene: Scene, [name = "", ...rest]: readonly string[]): Promise<Target> {
  const target = await scene.start([fixture(name), "FOLDER", ...rest]);
  await target.says("ready");
  return target;
}

describe.each(FIXTURES.map((argv) => [argv.join(" "), argv] as const))("%s", (_title, argv) => {
  test.concurrent("does not notice a checkpoint", () =>
    withScene(async (scene) => {
      const target = await begin(scene, argv);
      await checkpoint(scene, { target, core: join(scene.folder, "core") });
      target.go();
      expect(await target.ended(), target.output()).toBe("exited 0");
      expect(target.output()).toMatch(/ok\n$/);
    }));

  test.concurrent("goes on after a restore", () => withScene((scene) => live(scene, argv, 1)));

  test.concurrent("goes on after three checkpoints, kills and restores", () =>
    withScene((scene) => live(scene, argv, 3)));
});

/** Kills and restores the fixture `times`, then lets it check itself. */
async function live(scene: Scene, argv: readonly string[], times: number): Promise<void> {
  const target = await begin(scene, argv);
  let life: Identity = target;
  let restored: Restored | undefined;
  for (let cycle = 1; cycle <= times; cycle += 1) {
    const core = join(scene.folder, `core.${cycle}`);
    await checkpoint(scene, { target: life, core });
    const before = restored;
    restored = await restore(scene, { target: life, core });
    // The life before this one ended by SIGKILL, and its cr passed that on.
    if (before) expect((await before.cr.done).status).toBe(128 + 9);
    life = await running(restored);
  }
  target.go();
  const end = await restored?.cr.done;
  expect(end?.status, `${end && describeResult(end)}\nit said: ${target.output()}`).toBe(0);
  expect(target.output()).toMatch(/ok\n$/);
  expect(target.output().match(/ready/g)).toHaveLength(1);
}
