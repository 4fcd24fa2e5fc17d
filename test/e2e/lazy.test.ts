/**
 * `cr restore --lazy`: programs run before their memory is there and notice nothing, whatever they do to it; whoever
 * serves them may be killed, and the core may be bad or deleted: no program ever reads zeros in place of its memory.
 */
import { existsSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { type CrResult, describeResult, type RunningCr } from "../harness/cr.js";
import { checkpoint, restore, running } from "../harness/cycle.js";
import { eventually } from "../harness/eventually.js";
import { serversGone, serversOf, shutTap } from "../harness/page-server.js";
import { type Identity, isAlive, killHard, statOf } from "../harness/process.js";
import { expectRefusal, FAILED_FOREGROUND } from "../harness/refusal.js";
import { type Scene, withScene } from "../harness/scene.js";
import type { Target } from "../harness/target.js";
import { begin, beginFilling, expectGood, LAZY } from "./lazy-scene.js";

/** What makes or holds memory of its own, and threads that wait in it. */
const FIXTURES: readonly (readonly string[])[] = [
  ["heap"],
  ["anon"],
  ["speckled"],
  ["filemap"],
  ["identity"],
  ["seccomp"],
  ["threads", "2"],
];

/** Killed and restored; its third act begins after `before`. */
async function live(scene: Scene, argv: readonly string[], before: () => Promise<void>): Promise<void> {
  const target = await begin(scene, argv);
  const core = join(scene.folder, "core");
  await checkpoint(scene, { target, core });
  const { cr } = await restore(scene, { target, core, extra: LAZY });
  await before();
  target.go();
  await expectGood(cr, target);
}

function expectLost(end: CrResult, target: Target, names: RegExp): void {
  expectRefusal(end, { codes: ["PAGE_SERVER_LOST"], status: FAILED_FOREGROUND, names });
  expect(target.output()).toBe("ready\n");
}

/** The original core is what it was: a plain restore of it goes on. */
async function expectGoesOn(scene: Scene, target: Target, core: string): Promise<void> {
  target.go();
  await expectGood(scene.startCr(["restore", core]), target);
}

describe("goes on after a lazy restore", () => {
  test.concurrent.each(FIXTURES.map((argv) => [argv.join(" "), argv] as const))("%s", (_title, argv) =>
    withScene((scene) => live(scene, argv, async () => {})),
  );

  test.concurrent.each(["advice", "locked", "stack"])(
    "%s, which looks at its mappings when all is there",
    (name) => withScene((scene) => live(scene, [name], () => serversGone(scene))),
  );

  test.concurrent("a program that moves, drops and forks memory which is being filled in", () =>
    withScene(async (scene) => {
      const target = await begin(scene, ["lazy", "2000", "11"]);
      const core = join(scene.folder, "core");
      await checkpoint(scene, { target, core });
      target.go();
      await killHard(target);
      await expectGood(scene.startCr(["restore", core, ...LAZY]), target);
    }));

  test.concurrent("the same when only what is touched is there, from a compressed core", () =>
    withScene(async (scene) => {
      const target = await begin(scene, ["lazy", "600", "12"]);
      const core = join(scene.folder, "core");
      await checkpoint(scene, { target, core, extra: ["--compress", "zstd"] });
      target.go();
      await killHard(target);
      const { env } = shutTap(scene);
      await expectGood(scene.startCr(["restore", core, ...LAZY], { env }), target);
    }));

  test.concurrent("three times over, each checkpoint waiting until all is there", () =>
    withScene(async (scene) => {
      const target = await begin(scene, ["lazy", "100", "13"]);
      let life: Identity = target;
      let last: RunningCr | undefined;
      for (const cycle of [1, 2, 3]) {
        const core = join(scene.folder, `core.${cycle}`);
        await checkpoint(scene, { target: life, core });
        const restored = await restore(scene, { target: life, core, extra: LAZY });
        life = await running(restored);
        last = restored.cr;
      }
      target.go();
      if (last) await expectGood(last, target);
    }));
});

describe("while memory is being filled in", () => {
  test.concurrent("a killed page server ends the program, and cr says so", () =>
    withScene(async (scene) => {
      const { target, core, cr, program } = await beginFilling(scene);
      process.kill((await serversOf(scene)).server.pid, "SIGKILL");
      expectLost(await cr.done, target, /page server \(cr-lazy\) was killed/);
      expect(isAlive(program)).toBe(false);
      await serversGone(scene);
      await expectGoesOn(scene, target, core);
    }));

  test.concurrent("a killed guardian ends it, too", () =>
    withScene(async (scene) => {
      const { target, cr, program } = await beginFilling(scene);
      process.kill((await serversOf(scene)).guardian.pid, "SIGKILL");
      expectLost(await cr.done, target, /guardian of its page server was killed/);
      expect(isAlive(program)).toBe(false);
      await serversGone(scene);
    }));

  test.concurrent("a child dies with its parent, also one that has left it", () =>
    withScene(async (scene) => {
      const { target, cr } = await beginFilling(scene, ["lazy", "forked"]);
      target.go();
      const told = () => [...target.output().matchAll(/^child (\d+)$/gm)].map(([, pid]) => Number(pid));
      const children = await eventually("two children are there", () => told().length === 2 && told());
      process.kill((await serversOf(scene)).server.pid, "SIGKILL");
      expect((await cr.done).status).toBe(FAILED_FOREGROUND);
      writeFileSync(join(target.folder, "late"), "");
      const isGone = (pid: number) => "ZX".includes(statOf(pid)?.state ?? "X");
      await eventually("both children are gone", () => children.every(isGone));
      await serversGone(scene);
      expect(target.output()).not.toContain("FAIL");
    }));

  test.concurrent("what ended a detached program stands beside the core", () =>
    withScene(async (scene) => {
      const target = await begin(scene, ["lazy"]);
      const core = join(scene.folder, "core");
      await checkpoint(scene, { target, core });
      await killHard(target);
      const tap = shutTap(scene);
      const restored = await scene.cr(["restore", core, "-d", ...LAZY], { env: tap.env });
      expect(restored.status, describeResult(restored)).toBe(0);
      const program = scene.adopt(target.pid);
      process.kill((await serversOf(scene)).server.pid, "SIGKILL");
      await eventually("the program was ended", () => !isAlive(program));
      await serversGone(scene);
      expect(readFileSync(`${core}.lost.${target.pid}`, "utf8")).toMatch(/^PAGE_SERVER_LOST .*was killed\n$/);
    }));

  test.concurrent("the program's end ends the page server", () =>
    withScene(async (scene) => {
      const { cr, program } = await beginFilling(scene);
      await serversOf(scene);
      await killHard(program);
      expect((await cr.done).status).toBe(128 + 9);
      await serversGone(scene);
    }));

  test.concurrent("the core may be deleted", () =>
    withScene(async (scene) => {
      const { target, core, cr } = await beginFilling(scene);
      rmSync(core);
      target.go();
      await expectGood(cr, target);
    }));

  test.concurrent("the page server is in no session of anybody else, and ends when all is there", () =>
    withScene(async (scene) => {
      const { target, tap, cr, program } = await beginFilling(scene);
      const { server, guardian } = await serversOf(scene);
      const session = (pid: number) =>
        readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1]?.split(" ")[3];
      expect([server, guardian].map(({ pid }) => session(pid))).toEqual(Array(2).fill(`${server.pid}`));
      expect(readFileSync(`/proc/${program.pid}/smaps`, "latin1")).toMatch(/^VmFlags:.* um/m);
      tap.letGo();
      await serversGone(scene);
      expect(readFileSync(`/proc/${program.pid}/smaps`, "latin1")).not.toMatch(/^VmFlags:.* um/m);
      target.go();
      await expectGood(cr, target);
    }));

  test.concurrent("a checkpoint is refused by name, and waits if it may", () =>
    withScene(async (scene) => {
      const { target, tap, cr, program } = await beginFilling(scene);
      const path = join(scene.folder, "second");
      const args = ["checkpoint", String(program.pid), "-o", path];
      const { server } = await serversOf(scene);
      expectRefusal(await scene.cr([...args, "--timeout", "100ms"]), {
        codes: ["UNSUPPORTED_STATE"],
        names: `cr restore --lazy still brings (page server: process ${server.pid})`,
      });
      expect(existsSync(path)).toBe(false);
      const waiting = scene.startCr(args);
      tap.letGo();
      expect((await waiting.done).status).toBe(0);
      target.go();
      await expectGood(cr, target);
    }));
});
