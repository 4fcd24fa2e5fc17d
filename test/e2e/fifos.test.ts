/** FIFOs with both ends in a program, and paths of sockets: gone when it is restored, gone before, or left by a cr that was killed. */
import { existsSync, lstatSync, readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { describeResult } from "../harness/cr.js";
import { eventually } from "../harness/eventually.js";
import { statOf } from "../harness/process.js";
import { type Scene, withScene } from "../harness/scene.js";
import { fixture } from "../harness/target.js";

const SCRIPT = [
  "import os,stat,sys,time",
  "os.mkfifo('fifo',0o600); os.chmod('fifo',0o640)",
  "r=os.open('fifo',os.O_RDONLY|os.O_NONBLOCK); w=os.open('fifo',os.O_WRONLY)",
  "os.write(w,b'in between')",
  "if 'gone' in sys.argv: os.unlink('fifo')",
  "print('ready',flush=True)",
  "while not os.path.exists('go'): time.sleep(0.01)",
  "first=os.read(r,100); os.write(w,b'after'); second=os.read(r,100); s=os.fstat(r)",
  "print(first, second, oct(s.st_mode), s.st_nlink, s.st_ino==os.fstat(w).st_ino, flush=True)",
].join("\n");

async function killed(scene: Scene, ...args: string[]) {
  const target = await scene.start(["python3", "-c", SCRIPT, ...args]);
  await target.says("ready");
  const core = join(scene.folder, "core");
  const result = await scene.cr(["checkpoint", String(target.pid), "-o", core, "--kill"]);
  expect(result.status, describeResult(result)).toBe(0);
  return { target, core, path: join(target.folder, "fifo") };
}

test("one that was removed since is made again, but not for a restore that fails", () =>
  withScene(async (scene) => {
    const { target, core, path } = await killed(scene);
    rmSync(path);
    const failed = await scene.cr(["restore", core], { env: { CR_FAULT: "restore-after-rebuild:error" } });
    expect(failed.status, describeResult(failed)).toBe(125);
    expect(existsSync(path)).toBe(false);
    target.go();
    const result = await scene.cr(["restore", core]);
    expect(result.status, describeResult(result)).toBe(0);
    expect(target.output()).toBe("ready\nb'in between' b'after' 0o10640 1 True\n");
    expect(lstatSync(path).isFIFO()).toBe(true);
  }));

test("one that had no name any more has none again", () =>
  withScene(async (scene) => {
    const { target, core, path } = await killed(scene, "gone");
    target.go();
    const result = await scene.cr(["restore", core]);
    expect(result.status, describeResult(result)).toBe(0);
    expect(target.output()).toBe("ready\nb'in between' b'after' 0o10640 0 True\n");
    expect(existsSync(path)).toBe(false);
  }));

test("one that a cr has made which was killed then serves the next", () =>
  withScene(async (scene) => {
    const { target, core, path } = await killed(scene);
    rmSync(path);
    const left = await scene.cr(["restore", core], { env: { CR_FAULT: "restore-after-rebuild" } });
    expect(left.signal, describeResult(left)).toBe("SIGKILL");
    expect(lstatSync(path).isFIFO()).toBe(true);
    await eventually("its pid is free", () => statOf(target.pid) === null);
    target.go();
    const result = await scene.cr(["restore", core]);
    expect(result.status, describeResult(result)).toBe(0);
    expect(target.output()).toBe("ready\nb'in between' b'after' 0o10640 1 True\n");
  }));

test("sockets that a cr has bound which was killed then are bound by the next", () =>
  withScene(async (scene) => {
    const target = await scene.start([fixture("sockets"), "FOLDER"]);
    await target.says("ready");
    const core = join(scene.folder, "core");
    const saved = await scene.cr(["checkpoint", String(target.pid), "-o", core, "--kill"]);
    expect(saved.status, describeResult(saved)).toBe(0);
    const before = readdirSync(target.folder).sort();
    for (const fault of ["restore-after-spawn", "restore-after-rebuild"]) {
      const left = await scene.cr(["restore", core], { env: { CR_FAULT: fault } });
      expect(left.signal, describeResult(left)).toBe("SIGKILL");
      await eventually("its pid is free", () => statOf(target.pid) === null);
    }
    target.go();
    const result = await scene.cr(["restore", core]);
    expect(result.status, `${describeResult(result)}\nit said: ${target.output()}`).toBe(0);
    const now = readdirSync(target.folder).filter((name) => name !== "go");
    expect(now.filter((name) => !before.includes(name))).toEqual([]);
  }));
