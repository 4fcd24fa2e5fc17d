/**
 * Memory that outlives a program: it may have moved on or be gone when the program is restored, and others may use it
 * by then.
 */
import { execFileSync } from "node:child_process";
import {
  closeSync,
  existsSync,
  ftruncateSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeSync,
} from "node:fs";
import { join } from "node:path";
import { afterEach, expect, test } from "vitest";
import { readMappings } from "../../src/tracee/maps.js";
import { readSegments, removeSegment } from "../../src/tracee/segments.js";
import { type CrResult, describeResult } from "../harness/cr.js";
import { checkpoint } from "../harness/cycle.js";
import { killHard } from "../harness/process.js";
import { type Scene, withScene } from "../harness/scene.js";
import { fixture, type Target } from "../harness/target.js";

const IMPORTS = "import ctypes,mmap,os,time\nlibc=ctypes.CDLL(None)\nlibc.shmat.restype=ctypes.c_void_p\n";
const made: Target[] = [];

/** What a fixture that failed has left behind. */
afterEach(() => {
  for (const { pid } of made.splice(0)) {
    for (const path of memoryOf(pid)) rmSync(path, { force: true });
    for (const id of madeBy(pid)) removeSegment(id);
  }
});

function memoryOf(pid: number): string[] {
  const names = readdirSync("/dev/shm").filter((name) => name.match(/recore-.*?(\d+)$/)?.[1] === String(pid));
  return names.map((name) => join("/dev/shm", name));
}

function segmentOf(pid: number) {
  return readSegments().find(({ key }) => key === (0x5ec0000 ^ pid));
}

/** Ids of the segments that a process has made itself (cpid of proc_sysvipc(5)). */
function madeBy(pid: number): number[] {
  const rows = readFileSync("/proc/sysvipc/shm", "latin1").split("\n").slice(1);
  const columns = rows.map((row) => row.trim().split(/\s+/));
  return columns.filter(([, , , , cpid]) => cpid === String(pid)).map(([, id]) => Number(id));
}

async function begin(scene: Scene, name: string): Promise<{ target: Target; core: string }> {
  const target = await scene.start([fixture(name), "FOLDER"]);
  made.push(target);
  await target.says("ready");
  return { target, core: join(scene.folder, "core") };
}

/** A process that does something with memory until the end of the scene. */
async function neighbour(scene: Scene, does: string): Promise<Target> {
  const script = `${IMPORTS}${does}\nprint('there',flush=True)\ntime.sleep(1000)`;
  const other = await scene.start(["python3", "-c", script]);
  await other.says("there");
  return other;
}

async function restoresWell(
  scene: Scene,
  { target, core }: { target: Target; core: string },
): Promise<CrResult> {
  target.go();
  const result = await scene.cr(["restore", core]);
  expect(result.status, `${describeResult(result)}\nit said: ${target.output()}`).toBe(0);
  expect(target.output()).toMatch(/ok\n$/);
  return result;
}

function refusal(result: CrResult): string {
  expect([1, 125], describeResult(result)).toContain(result.status);
  const { code, message } = JSON.parse(result.stdout || result.stderr).error as {
    code: string;
    message: string;
  };
  return `${code} ${message}`;
}

test("POSIX shared memory and semaphores that moved on are put back", () =>
  withScene(async (scene) => {
    const { target, core } = await begin(scene, "posix-shm");
    await checkpoint(scene, { target, core });
    await killHard(target);
    expect(memoryOf(target.pid)).toHaveLength(3);
    for (const path of memoryOf(target.pid)) {
      const fd = openSync(path, "r+");
      writeSync(fd, "moved on");
      if (path.includes("open")) ftruncateSync(fd, 100);
      closeSync(fd);
    }
    const { stderr } = await restoresWell(scene, { target, core });
    expect(stderr).toMatch(/recore-open-\d+ was put back; what it held is saved in .*core\.later\.0/);
  }));

test("POSIX shared memory and semaphores that were removed are made again", () =>
  withScene(async (scene) => {
    const { target, core } = await begin(scene, "posix-shm");
    await checkpoint(scene, { target, core });
    await killHard(target);
    for (const path of memoryOf(target.pid)) rmSync(path);
    const { stderr } = await restoresWell(scene, { target, core });
    expect(stderr).toMatch(/recore-closed-\d+ was gone and was made again/);
  }));

test("POSIX shared memory that another process uses is refused, and left alone", () =>
  withScene(async (scene) => {
    const { target, core } = await begin(scene, "posix-shm");
    await checkpoint(scene, { target, core });
    const path = `/dev/shm/recore-closed-${target.pid}`;
    const reader = await neighbour(
      scene,
      `f=open('${path}','rb'); m=mmap.mmap(f.fileno(),4096,prot=mmap.PROT_READ); f.close()`,
    );
    const taken = await scene.cr([
      "checkpoint",
      String(target.pid),
      "-o",
      join(scene.folder, "no"),
      "--json",
    ]);
    expect(refusal(taken)).toContain(`shared memory (${path}) that process ${reader.pid} uses, too`);
    await killHard(target);
    const before = statSync(path, { bigint: true }).mtimeNs;
    expect(refusal(await scene.cr(["restore", core, "--json"]))).toBe(
      `FILE_CHANGED put the file ${path} back: process ${reader.pid} has it mapped`,
    );
    expect(statSync(path, { bigint: true }).mtimeNs).toBe(before);
    await killHard(reader);
    await restoresWell(scene, { target, core });
  }));

test("System V segments that moved on are put back, removed ones are made again", () =>
  withScene(async (scene) => {
    const { target, core } = await begin(scene, "segments");
    await checkpoint(scene, { target, core });
    await killHard(target);
    const { id, key, attached } = segmentOf(target.pid) ?? { id: -1, key: 0, attached: -1 };
    expect(attached).toBe(0);
    const scribble = `a=libc.shmat(${id},0,0); ctypes.memset(a,7,65536)`;
    execFileSync("python3", ["-c", `${IMPORTS}${scribble}`]);
    // The one with a key stays and is rolled back; the other goes.
    for (const one of madeBy(target.pid)) if (one !== id) removeSegment(one);
    const { stderr } = await restoresWell(scene, { target, core });
    expect(stderr).toMatch(/the System V segment \d+ \(key 0x00000000\) was gone and was made again/);
    expect(stderr).not.toContain(`segment ${id} `);
    expect(readSegments().some((one) => one.key === key)).toBe(false);
  }));

test("a System V segment that another process has attached, or whose key is taken, is refused", () =>
  withScene(async (scene) => {
    const { target, core } = await begin(scene, "segments");
    await checkpoint(scene, { target, core });
    const { id, key } = segmentOf(target.pid) ?? { id: -1, key: 0 };
    const other = await neighbour(scene, `libc.shmat(${id},0,0)`);
    const taken = await scene.cr([
      "checkpoint",
      String(target.pid),
      "-o",
      join(scene.folder, "no"),
      "--json",
    ]);
    expect(refusal(taken)).toMatch(
      new RegExp(`a System V shared memory segment \\(id ${id}, .*\\), shared with process ${other.pid}$`),
    );
    await killHard(target);
    const named = `FILE_CHANGED restore the System V segment ${id} (key 0x${key.toString(16).padStart(8, "0")})`;
    expect(refusal(await scene.cr(["restore", core, "--json"]))).toBe(
      `${named}: process ${other.pid} has it attached`,
    );
    await killHard(other);
    removeSegment(id);
    execFileSync("python3", ["-c", `${IMPORTS}print(libc.shmget(${key},4096,0o1600))`]);
    const usurper = segmentOf(target.pid)?.id ?? -1;
    expect(refusal(await scene.cr(["restore", core, "--json"]))).toBe(`${named}: another one has its key`);
    expect(readSegments().map((one) => one.id)).not.toContain(id);
    removeSegment(usurper);
    await restoresWell(scene, { target, core });
  }));

test("a debugger shows a segment in each of its attachments", () =>
  withScene(async (scene) => {
    const { target, core } = await begin(scene, "segments");
    await checkpoint(scene, { target, core });
    const keyed = `/SYSV${(0x5ec0000 ^ target.pid).toString(16).padStart(8, "0")}`;
    const starts = readMappings(target.pid).flatMap(({ path, start }) => (path === keyed ? [start] : []));
    expect(starts).toHaveLength(3);
    const looks = starts.flatMap((start) => ["-ex", `x/1gx ${start}`]);
    const shown = execFileSync("gdb", ["-nx", "-batch", ...looks, fixture("segments"), core], {
      encoding: "utf8",
      stdio: ["ignore", "pipe", "ignore"],
    });
    // The first word of `fill` with the seed 1.
    expect(shown.match(/0x9e3779b97f4a7c15/g)).toHaveLength(3);
    await killHard(target);
  }));

test("a memfd that another process has, too, is refused", () =>
  withScene(async (scene) => {
    const { target } = await begin(scene, "memfds");
    const other = await neighbour(
      scene,
      `f=open('/proc/${target.pid}/fd/3','r+b'); m=mmap.mmap(f.fileno(),4096)`,
    );
    const output = join(scene.folder, "core");
    const taken = await scene.cr(["checkpoint", String(target.pid), "-o", output, "--json"]);
    expect(refusal(taken)).toMatch(
      new RegExp(`a memfd \\(/memfd:many ways\\), shared with process ${other.pid}$`),
    );
    expect(existsSync(output)).toBe(false);
  }));
