/** FIFOs with both ends in a program: their names may be gone when it is restored, or have been gone before. */
import { existsSync, lstatSync, rmSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { describeResult } from "../harness/cr.js";
import { type Scene, withScene } from "../harness/scene.js";

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
