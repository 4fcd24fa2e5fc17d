/**
 * Every fixture through its three lives: checkpointed only (it must not notice), killed and restored once, and three
 * times over. A fixture names what differs; here it is only asked whether it said `ok`, and its mappings are compared.
 */
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { describeResult } from "../harness/cr.js";
import { checkpoint, type Restored, restore, running } from "../harness/cycle.js";
import { expectSameMappings, mappingsOf } from "../harness/mappings.js";
import { type Identity, killHard } from "../harness/process.js";
import { type Scene, withScene } from "../harness/scene.js";
import { fixture, type LaunchOptions, type Target } from "../harness/target.js";

const VARIANTS = ["nopie", "static", "staticpie", "musl", "muslstatic"];
const VARIED = ["heap", "brk", "anon", "vector"];

/** Fixtures that map and unmap memory all the time; glibc's semaphores come back under the one name they still have. */
const MOVING = /^(heap|churn|posix-shm)/;

/** Name of the fixture, then its arguments behind the folder. */
const FIXTURES: readonly (readonly string[])[] = [
  ...VARIED.flatMap((name) => [[name], ...VARIANTS.map((variant) => [`${name}.${variant}`])]),
  ["stack"],
  ["speckled"],
  ["shared"],
  ["memfds"],
  ["unlinked"],
  ["segments"],
  ["spaces"],
  ["posix-shm"],
  ["sysv"],
  ["queues"],
  ["filemap"],
  ["advice"],
  ["locked"],
  ["policies"],
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
  ["seccomp", "few"],
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
  ["mailboxes"],
  ["backlog"],
  ["datagrams"],
  ["tcp"],
  ["ptys"],
  ["thread-area"],
  ["threads", "1"],
  ["threads", "2"],
  ["threads", "64"],
  ["locks"],
  ["churn"],
  ["lockstep"],
];

/** What nobody may not have, or what only root can save. */
const ROOTS: readonly string[] = [
  "policy fifo",
  "policy rr",
  "policy deadline",
  "seccomp",
  "seccomp few",
  "inotify",
  "memfds",
  "segments",
  "spaces",
  "locked",
  "tcp",
];

/** How a program was built makes no difference to who it is. */
function suitsNobody(argv: readonly string[]): boolean {
  return !ROOTS.includes(argv.join(" ")) && !argv[0]?.includes(".");
}

async function begin(
  scene: Scene,
  [name = "", ...rest]: readonly string[],
  options: LaunchOptions = {},
): Promise<Target> {
  const target = await scene.start([fixture(name), "FOLDER", ...rest], options);
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

const SUITED = FIXTURES.filter(suitsNobody).map((argv) => [argv.join(" "), argv] as const);

describe("as nobody, under its pid, goes on", () => {
  test.concurrent.each(SUITED)("%s", (_title, argv) => withScene((scene) => liveAsNobody(scene, argv)));
});

/** Kills and restores the fixture `times`, then lets it check itself. */
async function live(scene: Scene, argv: readonly string[], times: number): Promise<void> {
  const target = await begin(scene, argv);
  let life: Identity = target;
  let restored: Restored | undefined;
  const was = mappingsOf(target.pid);
  const isMoving = MOVING.test(argv.join(" "));
  for (let cycle = 1; cycle <= times; cycle += 1) {
    const core = join(scene.folder, `core.${cycle}`);
    await checkpoint(scene, { target: life, core });
    const before = restored;
    restored = await restore(scene, { target: life, core });
    // The life before this one ended by SIGKILL, and its cr passed that on.
    if (before) expect((await before.cr.done).status).toBe(128 + 9);
    life = await running(restored);
    if (!isMoving) expectSameMappings(mappingsOf(life.pid), was);
  }
  target.go();
  const end = await restored?.cr.done;
  expect(end?.status, `${end && describeResult(end)}\nit said: ${target.output()}`).toBe(0);
  expect(target.output()).toMatch(/ok\n$/);
  expect(target.output().match(/ready/g)).toHaveLength(1);
}

/** Nobody chooses pids, so the restore makes a pid namespace by itself. */
async function liveAsNobody(scene: Scene, argv: readonly string[]): Promise<void> {
  const asNobody = true;
  const target = await begin(scene, argv, { asNobody });
  const core = join(target.folder, "core");
  await checkpoint(scene, { target, core, asNobody });
  await killHard(target);
  target.go();
  const end = await scene.cr(["restore", core], { asNobody });
  expect(end.status, `${describeResult(end)}\nit said: ${target.output()}`).toBe(0);
  expect(end.stderr).toContain("it is process");
  expect(target.output()).toMatch(/ok\n$/);
}
