/** What a program held alone may be held by somebody else when it comes back: refused by name, nothing changed. */
import { renameSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import type { ErrorCode } from "../../src/errors.js";
import { checkpoint } from "../harness/cycle.js";
import { killHard, statOf } from "../harness/process.js";
import { expectRefusal, FAILED_FOREGROUND } from "../harness/refusal.js";
import { type Scene, withScene } from "../harness/scene.js";
import { fixture, type Target } from "../harness/target.js";

/** A fixture that was checkpointed and killed. */
async function saved(scene: Scene, name: string): Promise<{ target: Target; core: string }> {
  const target = await scene.start([fixture(name), "FOLDER"]);
  await target.says("ready");
  const core = join(scene.folder, "core");
  await checkpoint(scene, { target, core });
  await killHard(target);
  return { target, core };
}

async function refuses(
  scene: Scene,
  { target, core }: { target: Target; core: string },
  { code, names }: { code: ErrorCode; names: RegExp },
): Promise<void> {
  expectRefusal(await scene.cr(["restore", core]), { codes: [code], names, status: FAILED_FOREGROUND });
  expect(statOf(target.pid)).toBeNull();
}

/** Holds something in a shell until the end of the scene. */
async function holds(scene: Scene, script: string, path: string): Promise<void> {
  const holder = await scene.start(["sh", "-c", `${script}; echo ready; exec sleep 1000`, path]);
  await holder.says("ready");
}

describe("cr restore refuses", () => {
  test("a lock that somebody else holds", () =>
    withScene(async (scene) => {
      const life = await saved(scene, "locks");
      await holds(scene, 'exec 9<"$0"; flock 9', join(life.target.folder, "whole"));
      await refuses(scene, life, { code: "FILE_CHANGED", names: /lock on .*whole.*somebody else/ });
    }));

  test("a FIFO that somebody else has open", () =>
    withScene(async (scene) => {
      const life = await saved(scene, "pipes");
      await holds(scene, 'exec 9<>"$0"', join(life.target.folder, "fifo"));
      await refuses(scene, life, {
        code: "FILE_CHANGED",
        names: /FIFO .*fifo: process \d+ \(\w+\) has it open/,
      });
    }));

  test("a watched file that was replaced", () =>
    withScene(async (scene) => {
      const life = await saved(scene, "inotify");
      const watched = join(life.target.folder, "watched");
      renameSync(watched, `${watched} before`);
      writeFileSync(watched, "");
      await refuses(scene, life, { code: "FILE_CHANGED", names: /watch of .*watched/ });
    }));

  test("a socket path that another file has taken", () =>
    withScene(async (scene) => {
      const life = await saved(scene, "sockets");
      const path = join(life.target.folder, "listens");
      rmSync(path);
      writeFileSync(path, "");
      await refuses(scene, life, {
        code: "FILE_CHANGED",
        names: /socket .*listens: another file has its name/,
      });
      expect(statSync(path).isFile()).toBe(true);
    }));

  test("an address that somebody listens on, and puts the socket files it had made back", () =>
    withScene(async (scene) => {
      const life = await saved(scene, "sockets");
      const path = join(life.target.folder, "listens");
      const before = statSync(path).ino;
      const name = `recore-${life.target.pid}`;
      const listens = "import socket,sys,time; s=socket.socket(1); s.bind('\\0'+sys.argv[1]); s.listen()";
      const holder = await scene.start([
        "python3",
        "-uc",
        `${listens}; print('ready'); time.sleep(1000)`,
        name,
      ]);
      await holder.says("ready");
      const names = new RegExp(`bind .* @${name}: EADDRINUSE`);
      await refuses(scene, life, { code: "RESTORE_FAILED", names });
      expect(statSync(path).ino).toBe(before);
    }));
});
