/** Programs that read standard input: from a pipe, a terminal and a file, over a checkpoint and over a restore. */
import { execFileSync } from "node:child_process";
import { closeSync, openSync, writeFileSync, writeSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { describeResult } from "../harness/cr.js";
import { checkpoint, restore, running } from "../harness/cycle.js";
import { sleep } from "../harness/eventually.js";
import { killHard } from "../harness/process.js";
import { expectRefusal, FAILED_FOREGROUND } from "../harness/refusal.js";
import { type Scene, withScene } from "../harness/scene.js";
import { fixture, type Target } from "../harness/target.js";

const lines = (from: number, to: number) =>
  Array.from({ length: to - from }, (_, at) => `${from + at}\n`).join("");

/** So many that reading them takes seconds. */
const LINES = 400_000;

interface Reader {
  readonly target: Target;
  /** The test's end of its input. */
  readonly input: number;
}

/** A reader of ten lines that has had five and waits for the sixth. */
async function begin(scene: Scene, kind: "pipe" | "terminal"): Promise<Reader> {
  const path = join(scene.folder, "fifo");
  execFileSync("mkfifo", [path]);
  const target = await scene.start([fixture("lines"), "FOLDER", "10"], { stdin: { kind, path } });
  // r+ does not wait for the reader.
  const input = openSync(path, "r+");
  await target.says("ready");
  writeSync(input, lines(0, 5));
  await target.says("got 4");
  await sleep(100);
  return { target, input };
}

describe.each(["pipe", "terminal"] as const)("a program blocked in read on a %s", (kind) => {
  test("does not notice a checkpoint", () =>
    withScene(async (scene) => {
      const { target, input } = await begin(scene, kind);
      await checkpoint(scene, { target, core: join(scene.folder, "core") });
      await sleep(200);
      expect(target.output()).toMatch(/got 4\n$/);
      // End of transmission at the start of a line ends a terminal's input.
      writeSync(input, kind === "terminal" ? `${lines(5, 10)}\x04` : lines(5, 10));
      closeSync(input);
      expect(await target.ended(), target.output()).toBe("exited 0");
    }));

  test("reads on from the standard input of cr restore", () =>
    withScene(async (scene) => {
      const { target, input } = await begin(scene, kind);
      const core = join(scene.folder, "core");
      await checkpoint(scene, { target, core });
      const restored = await restore(scene, { target, core });
      closeSync(input);
      await running(restored);
      restored.cr.stdin.end(lines(5, 10));
      const end = await restored.cr.done;
      expect(end.status, `${describeResult(end)}\nit said: ${target.output()}`).toBe(0);
      expect(target.output()).toMatch(/got 9\nok\n$/);
    }));
});

test("a program that reads a file reads on where it was", () =>
  withScene(async (scene) => {
    const path = join(scene.folder, "input");
    writeFileSync(path, lines(0, LINES));
    const target = await scene.start([fixture("lines"), "FOLDER", String(LINES)], {
      stdin: { kind: "file", path },
    });
    await target.says("got 500\n");
    const core = join(scene.folder, "core");
    await checkpoint(scene, { target, core });
    const { cr } = await restore(scene, { target, core });
    const end = await cr.done;
    expect(end.status, describeResult(end)).toBe(0);
    expect(target.output().match(/got/g)).toHaveLength(LINES);
    expect(target.output()).toMatch(/ok\n$/);
  }));

test("standard output that was a pipe goes on to the standard output of cr restore", () =>
  withScene(async (scene) => {
    // The shell is the far end's owner: cat reads what the counter writes.
    const script = `{ ${fixture("counter")} . 100 10000 & echo $! > FOLDER/pid; } | cat`;
    const shell = await scene.start(["sh", "-c", script]);
    await shell.says("\n30\n");
    const pid = Number(execFileSync("cat", [join(shell.folder, "pid")], { encoding: "utf8" }));
    const target = scene.adopt(pid);
    const core = join(scene.folder, "core");
    await checkpoint(scene, { target, core });
    await sleep(100);
    const { cr } = await restore(scene, { target, core });
    const end = await cr.done;
    expect(end.status, describeResult(end)).toBe(0);
    const from = Number(end.stdout.split("\n")[0]);
    expect(from).toBeGreaterThan(30);
    expect(end.stdout).toBe(`${lines(from, 100)}ok\n`);
  }));

/** Says ready, leaves its input alone for a while, and then prints all of it. */
const LATE_READER =
  "import sys,time; print('ready',flush=True); time.sleep(2); sys.stdout.write(sys.stdin.read())";

test("bytes that wait unread in a pipe come first, then what cr restore is given", () =>
  withScene(async (scene) => {
    const path = join(scene.folder, "fifo");
    execFileSync("mkfifo", [path]);
    const target = await scene.start(["python3", "-c", LATE_READER], { stdin: { kind: "pipe", path } });
    const input = openSync(path, "r+");
    await target.says("ready");
    writeSync(input, lines(0, 9_000));
    const core = join(scene.folder, "core");
    await checkpoint(scene, { target, core });
    const restored = await restore(scene, { target, core });
    closeSync(input);
    await running(restored);
    restored.cr.stdin.end(lines(9_000, 9_010));
    const end = await restored.cr.done;
    expect(end.status, `${describeResult(end)}\n${target.output()}`).toBe(0);
    expect(target.output()).toBe(`ready\n${lines(0, 9_010)}`);
  }));

test("an input that an epoll watches must lead to something that can be watched", () =>
  withScene(async (scene) => {
    const path = join(scene.folder, "fifo");
    execFileSync("mkfifo", [path]);
    const script =
      "import select,sys\nset=select.epoll()\nset.register(0,select.EPOLLIN)\nprint('ready',flush=True)\n" +
      "while not set.poll(1): pass\nprint('got',sys.stdin.readline(),flush=True)";
    const target = await scene.start(["/usr/bin/python3", "-c", script], { stdin: { kind: "pipe", path } });
    const input = openSync(path, "r+");
    await target.says("ready");
    const core = join(scene.folder, "core");
    await checkpoint(scene, { target, core });
    await killHard(target);
    const refused = await scene.cr(["restore", core, "--fd", "0=null"]);
    expectRefusal(refused, {
      codes: ["FD_OUTSIDE"],
      status: FAILED_FOREGROUND,
      names: /descriptor 0: epoll descriptor \d+ watches it.*cannot be watched/,
    });
    expect(refused.stderr).toContain("add --fd 0=PATH");
    const restored = scene.startCr(["restore", core]);
    restored.stdin.end("line\n");
    closeSync(input);
    expect((await restored.done).status).toBe(0);
    expect(target.output()).toMatch(/got line/);
  }));
