/** Compressed cores: programs go on from them like from plain ones, alone and in trees, and debuggers get them by cr export. */
import { execFile } from "node:child_process";
import { rmSync, statSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { describe, expect, test } from "vitest";
import { describeResult, jsonOf } from "../harness/cr.js";
import { checkpoint, restore, running } from "../harness/cycle.js";
import { peakMemoryMib } from "../harness/peak.js";
import { type Identity, killHard, runsFreely } from "../harness/process.js";
import { expectRefusal, FAILED_FOREGROUND, listing } from "../harness/refusal.js";
import { type Scene, withScene } from "../harness/scene.js";
import { fixture } from "../harness/target.js";
import { checkpointTree, killTree, membersOf, restoreTree } from "../harness/tree.js";

const run = promisify(execFile);
const COMPRESS = ["--compress", "zstd"];

/** What stands in a core beside private memory is read by others than what fills memory. */
const FIXTURES = [
  "heap",
  "speckled",
  "stack",
  "shared",
  "memfds",
  "deleted",
  "objects",
  "segments",
  "filemap",
  "advice",
];

/** Checkpoints with compression, kills and restores `times`; the program then checks itself. */
async function live(scene: Scene, name: string, times: number): Promise<void> {
  const target = await scene.start([fixture(name), "FOLDER"]);
  await target.says("ready");
  let life: Identity = target;
  for (let cycle = 1; cycle <= times; cycle += 1) {
    const core = join(scene.folder, `core.${cycle}`);
    await checkpoint(scene, { target: life, core, extra: COMPRESS });
    const restored = await restore(scene, { target: life, core });
    life = await running(restored);
    if (cycle < times) continue;
    target.go();
    const end = await restored.cr.done;
    expect(end.status, `${describeResult(end)}\nit said: ${target.output()}`).toBe(0);
    expect(target.output()).toMatch(/ok\n$/);
  }
}

describe("from a compressed core", () => {
  test.concurrent.each(FIXTURES)("%s goes on", (name) => withScene((scene) => live(scene, name, 1)));

  test.concurrent("a program goes on three times over", () => withScene((scene) => live(scene, "heap", 3)));

  test.concurrent("it goes on as nobody, in a namespace of its own", () =>
    withScene(async (scene) => {
      const asNobody = true;
      const target = await scene.start([fixture("heap"), "FOLDER"], { asNobody });
      await target.says("ready");
      const core = join(target.folder, "core");
      await checkpoint(scene, { target, core, asNobody, extra: COMPRESS });
      await killHard(target);
      target.go();
      const end = await scene.cr(["restore", core], { asNobody });
      expect(end.status, `${describeResult(end)}\nit said: ${target.output()}`).toBe(0);
      expect(target.output()).toMatch(/ok\n$/);
    }));

  test.concurrent("a tree goes on, each of whose cores is compressed", () =>
    withScene(async (scene) => {
      const target = await scene.start([fixture("family"), "FOLDER"]);
      await target.says("ready");
      const bundle = join(scene.folder, "bundle");
      await checkpointTree(scene, { target, bundle, extra: COMPRESS });
      const verified = await scene.cr(["verify", bundle]);
      expect(verified.status, describeResult(verified)).toBe(0);
      await killTree(scene, membersOf(bundle));
      const restored = await restoreTree(scene, { target, bundle });
      target.go();
      const end = await restored.cr.done;
      expect(end.status, `${describeResult(end)}\nit said: ${target.output()}`).toBe(0);
      expect(target.output()).toBe("ready\nok\n");
    }));
});

test("without libzstd it is refused with what to install, and a plain one is not", () =>
  withScene(async (scene) => {
    const target = await scene.start([fixture("heap"), "FOLDER"]);
    await target.says("ready");
    const [core, plain] = [join(scene.folder, "core"), join(scene.folder, "plain")];
    await checkpoint(scene, { target, core, extra: COMPRESS });
    await checkpoint(scene, { target, core: plain });
    await killHard(target);
    const find = 'ldconfig -p | sed -n "s/.*libzstd.so.1 .*=> //p"';
    const hide = `for lib in $(${find}); do mount --bind /dev/null "$lib"; done`;
    const under = ["unshare", "-m", "sh", "-c", `${hide}; exec "$0" "$@"`];
    const refused = await scene.cr(["restore", core], { under });
    const names = /libzstd\.so\.1 is missing/;
    expectRefusal(refused, { codes: ["NATIVE_MISSING"], status: FAILED_FOREGROUND, names });
    expect(refused.stderr).toContain("apt-get install libzstd1");
    expectRefusal(await scene.cr(["verify", core], { under }), { codes: ["NATIVE_MISSING"], names });
    const verified = await scene.cr(["verify", plain], { under });
    expect(verified.status, describeResult(verified)).toBe(0);
  }));

describe("cr export", () => {
  test.concurrent("writes a core that gdb opens, byte for byte the plain one", () =>
    withScene(async (scene) => {
      const target = await scene.start([fixture("calls"), "FOLDER"]);
      await target.says("ready");
      const [core, plain] = [join(scene.folder, "core"), join(scene.folder, "plain")];
      await checkpoint(scene, { target, core, extra: ["--compress", "zstd:9"] });
      const inspected = await scene.cr(["inspect", core]);
      expect(inspected.stdout).toContain(`cr export ${core} -o PLAIN`);
      const exported = await scene.cr(["export", core, "-o", plain, "--json"]);
      expect(exported.status, describeResult(exported)).toBe(0);
      expect(jsonOf(exported)).toEqual({ from: core, core: plain, sizeBytes: statSync(plain).size });
      expect(statSync(plain).size).toBeGreaterThan(2 * statSync(core).size);
      expect(statSync(plain).mode & 0o777).toBe(0o600);
      const verified = await scene.cr(["verify", plain]);
      expect(verified.status, describeResult(verified)).toBe(0);
      const { stdout, stderr } = await run("gdb", ["-nx", "-batch", "-ex", "bt", fixture("calls"), plain]);
      expect(stdout + stderr).toMatch(/in middle \(folder=\S+ "[^"]+", big=123456789012, half=0\.5\)/);
      const { stdout: notes } = await run("eu-readelf", ["-n", core]);
      expect(notes).toContain("PRSTATUS");
      expectRefusal(await scene.cr(["export", core, "-o", plain]), { codes: ["OUTPUT_EXISTS"] });
    }));
});

describe("cr checkpoint --compress", () => {
  test.concurrent("refuses what is no level of zstd", () =>
    withScene(async (scene) => {
      for (const how of ["zstd:0", "zstd:20", "lz4", "zstd:"]) {
        const result = await scene.cr(["checkpoint", "1", "--compress", how]);
        expect(result.status, describeResult(result)).toBe(2);
        expect(result.stderr).toContain("zstd:LEVEL");
      }
    }));

  test.concurrent("leaves nothing of a checkpoint that no room is left for", () =>
    withScene(async (scene) => {
      const target = await scene.start([fixture("heap"), "FOLDER"]);
      await target.says("ready");
      const core = join(scene.folder, "core");
      const under = ["prlimit", "--fsize=16384"];
      const result = await scene.cr(["checkpoint", `${target.pid}`, "-o", core, ...COMPRESS], { under });
      expectRefusal(result, { codes: ["OUTPUT_FAILED"] });
      expect(listing(scene.folder)).toEqual(["target0"]);
      expect(runsFreely(target)).toBe(true);
    }));

  test("1 GiB with holes: cr stays small, at the checkpoint and at the restore", { timeout: 240_000 }, () =>
    withScene(async (scene) => {
      const target = await scene.start([fixture("sparse"), "FOLDER", "1024"]);
      await target.says("ready", { timeoutMs: 60_000 });
      const core = join(scene.folder, "core");
      const taking = scene.startCr(["checkpoint", `${target.pid}`, "-o", core, ...COMPRESS], {
        timeoutMs: 120_000,
      });
      expect(await peakMemoryMib(taking)).toBeLessThan(150);
      expect((await taking.done).status).toBe(0);
      await killHard(target);
      target.go();
      const restoring = scene.startCr(["restore", core], { timeoutMs: 120_000 });
      expect(await peakMemoryMib(restoring)).toBeLessThan(150);
      const end = await restoring.done;
      expect(end.status, `${describeResult(end)}\nit said: ${target.output()}`).toBe(0);
      rmSync(core);
    }),
  );
});
