/**
 * Files that a program has mapped shared and writable, and that somebody has removed since: their bytes are in the
 * core. Most JVMs are such programs: the next one clears /tmp/hsperfdata_USER of what dead ones have left.
 */
import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { userInfo } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { describeResult } from "../harness/cr.js";
import { checkpoint } from "../harness/cycle.js";
import { eventually } from "../harness/eventually.js";
import { killHard, statOf } from "../harness/process.js";
import { type Scene, withScene } from "../harness/scene.js";

const SCRIPT = [
  "import mmap,os,time",
  "os.mkdir('sub'); fd=os.open('sub/file',os.O_RDWR|os.O_CREAT); os.fchmod(fd,0o640); os.ftruncate(fd,10000)",
  "m=mmap.mmap(fd,10000); m[5000:5006]=b'inside'; os.close(fd)",
  "print('ready',flush=True)",
  "while not os.path.exists('go'): time.sleep(0.01)",
  "s=os.stat('sub/file'); name=[l for l in open('/proc/self/maps') if 'sub/file' in l][0].split()[-1]",
  "m[0:5]=b'after'; b=open('sub/file','rb').read()",
  "print(m[5000:5006], b[:5], b[5000:5006], len(b), oct(s.st_mode), name==os.path.realpath('sub/file'))",
].join("\n");
const SAYS = "ready\nb'inside' b'after' b'inside' 10000 0o100640 True\n";

async function killed(scene: Scene) {
  const target = await scene.start(["python3", "-c", SCRIPT]);
  await target.says("ready");
  const core = join(scene.folder, "core");
  const result = await scene.cr(["checkpoint", String(target.pid), "-o", core, "--kill"]);
  expect(result.status, describeResult(result)).toBe(0);
  return { target, core, path: join(target.folder, "sub", "file") };
}

test("one that is gone is made again, but not for a restore that fails", () =>
  withScene(async (scene) => {
    const { target, core, path } = await killed(scene);
    rmSync(path);
    const failed = await scene.cr(["restore", core], { env: { CR_FAULT: "restore-after-rebuild:error" } });
    expect(failed.status, describeResult(failed)).toBe(125);
    expect(readdirSync(join(target.folder, "sub"))).toEqual([]);
    const left = await scene.cr(["restore", core], { env: { CR_FAULT: "restore-after-rebuild" } });
    expect(left.signal, describeResult(left)).toBe("SIGKILL");
    expect(existsSync(path)).toBe(false);
    // The kernel ends the newborn of a cr that was killed; until then it holds the pid.
    await eventually("the pid is free", () => statOf(target.pid) === null);
    target.go();
    const result = await scene.cr(["restore", core]);
    expect(result.status, describeResult(result)).toBe(0);
    expect(result.stderr).toContain(`file ${path} was gone and was made again`);
    expect(target.output()).toBe(SAYS);
    expect(readdirSync(join(target.folder, "sub"))).toEqual(["file"]);
    expect(statSync(path).mode & 0o777).toBe(0o640);
  }));

test("a folder that is gone, too, is named; --files keep makes nothing", () =>
  withScene(async (scene) => {
    const { target, core, path } = await killed(scene);
    rmSync(path);
    const kept = await scene.cr(["restore", core, "--files", "keep"]);
    expect(kept.status, describeResult(kept)).toBe(125);
    expect(kept.stderr).toContain(`FILE_MISSING: open ${path}: it is not there any more`);
    rmSync(join(target.folder, "sub"), { recursive: true });
    const result = await scene.cr(["restore", core]);
    expect(result.status, describeResult(result)).toBe(125);
    expect(result.stderr).toContain(
      `make ${path} again: its folder ${join(target.folder, "sub")} is not there`,
    );
    mkdirSync(join(target.folder, "sub"));
    target.go();
    const again = await scene.cr(["restore", core]);
    expect(again.status, describeResult(again)).toBe(0);
    expect(target.output()).toBe(SAYS);
  }));

const JAVA = `class Waits {
  public static void main(String[] args) throws Exception {
    System.out.println("ready");
    while (!new java.io.File("go").exists()) Thread.sleep(10);
    System.out.println("done");
  }
}`;

test("java goes on where another JVM ran in between", () =>
  withScene(async (scene) => {
    const source = join(scene.folder, "Waits.java");
    writeFileSync(source, JAVA);
    const target = await scene.start(["java", "-XX:TieredStopAtLevel=1", source]);
    await target.says("ready", { timeoutMs: 60_000 });
    const core = join(scene.folder, "core");
    await checkpoint(scene, { target, core });
    await killHard(target);
    const counters = join("/tmp", `hsperfdata_${userInfo().username}`, String(target.pid));
    execFileSync("java", ["-version"], { stdio: "ignore" });
    expect(existsSync(counters)).toBe(false);
    target.go();
    const result = await scene.cr(["restore", core]);
    expect(result.status, describeResult(result)).toBe(0);
    expect(readFileSync(target.outputFile, "utf8")).toBe("ready\ndone\n");
  }));
