/** The harness itself: targets live apart from the test, how they end is known, and what is left behind is found. */
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { expect, test } from "vitest";
import { eventually } from "./eventually.js";
import { isAlive, killHard, runsFreely, statusLine } from "./process.js";
import { withScene } from "./scene.js";
import { fixture } from "./target.js";

test("a target is no relative of the test, and its end is written down", () =>
  withScene(async (scene) => {
    const target = await scene.start([fixture("calls"), "FOLDER"]);
    await target.says("ready");
    expect(runsFreely(target)).toBe(true);
    expect(statusLine(target.pid, "PPid")).not.toBe(String(process.pid));
    target.go();
    expect(await target.ended()).toBe("exited 0");
    expect(isAlive(target)).toBe(false);
  }));

test("killHard returns when the pid is free", () =>
  withScene(async (scene) => {
    const target = await scene.start([fixture("calls"), "FOLDER"]);
    await killHard(target);
    expect(existsSync(`/proc/${target.pid}`)).toBe(false);
    expect(await target.ended()).toBe("killed 9");
    await killHard(target);
  }));

test("says gives up at once when the target has ended without a word", () =>
  withScene(async (scene) => {
    const target = await scene.start(["sh", "-c", "sleep 0.05; echo never mind"]);
    await expect(target.says("ready")).rejects.toThrow(/ended early: never mind/);
  }));

test("a process that a scene leaves behind is killed, and fails the test", async () => {
  let folder = "";
  const scene = withScene(async (it) => {
    folder = it.folder;
    const env = { ...process.env, RECORE_SCENE: it.folder };
    spawn("sleep", ["1000"], { detached: true, stdio: "ignore", env }).unref();
  });
  await expect(scene).rejects.toThrow(/left behind: \d+ sleep 1000/);
  await eventually("the folder is gone", () => !existsSync(folder));
});
