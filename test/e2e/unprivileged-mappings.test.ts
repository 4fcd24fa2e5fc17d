/**
 * An ordinary user's checkpoint of memory without a name: what cr may not open it reads through the mappings. Restored
 * by root, who may give the program its pid back.
 */
import { chmodSync, chownSync, mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { describeResult, jsonOf, NOBODY } from "../harness/cr.js";
import { killHard, runsFreely } from "../harness/process.js";
import { expectRefusal } from "../harness/refusal.js";
import { type Scene, withScene } from "../harness/scene.js";
import { fixture } from "../harness/target.js";

async function ofNobody(scene: Scene, argv: readonly [string, ...string[]], extra: readonly string[] = []) {
  const [name, ...rest] = argv;
  const target = await scene.start([fixture(name), "FOLDER", ...rest], { asNobody: true });
  await target.says("ready");
  const cores = join(scene.folder, "cores");
  mkdirSync(cores);
  chownSync(cores, NOBODY, NOBODY);
  chmodSync(scene.folder, 0o755);
  const core = join(cores, "core");
  const result = await scene.cr(["checkpoint", `${target.pid}`, "-o", core, ...extra], { asNobody: true });
  expect(runsFreely(target)).toBe(true);
  return { target, core, result };
}

test.each([
  [["memfds", "whole"], /of \/memfd:alone only what is mapped is saved/],
  [["unlinked"], /of \/.*\/library\.so only what is mapped is saved/],
  [["posix-shm"], /\[\]/],
] as const)("%s", (argv, told) =>
  withScene(async (scene) => {
    const { target, core, result } = await ofNobody(scene, argv, ["--json"]);
    expect(result.status, describeResult(result)).toBe(0);
    expect(JSON.stringify(jsonOf(result).softErrors)).toMatch(told);
    await killHard(target);
    target.go();
    const restored = await scene.cr(["restore", "--trust", core]);
    expect(restored.status, `${describeResult(restored)}\nit said: ${target.output()}`).toBe(0);
    expect(target.output()).toMatch(/ok\n$/);
  }),
);

test("a segment of which no mapping shows all is refused", () =>
  withScene(async (scene) => {
    const { target, result } = await ofNobody(scene, ["segments"]);
    const names = /0x[0-9a-f]+: \/SYSV00000000, of which no mapping shows all and which cr may not open/;
    expectRefusal(result, { codes: ["UNSUPPORTED_STATE"], names });
    target.go();
    expect(await target.ended(), target.output()).toBe("exited 0");
  }));

test("a deleted file that may be the one behind a descriptor is refused", () =>
  withScene(async (scene) => {
    const script = [
      "import ctypes,os,time",
      "libc=ctypes.CDLL(None); libc.mmap.restype=ctypes.c_void_p",
      "def make(): f=os.open('twin',os.O_RDWR|os.O_CREAT); os.ftruncate(f,4096); os.unlink('twin'); return f",
      "a=make(); b=make(); libc.mmap(None,ctypes.c_size_t(4096),1,2,a,ctypes.c_long(0)); os.close(a)",
      "print('ready',flush=True); time.sleep(1000)",
    ].join("\n");
    const target = await scene.start(["python3", "-c", script], { asNobody: true });
    await target.says("ready");
    const result = await scene.cr(["checkpoint", `${target.pid}`, "-o", "/tmp/none"], { asNobody: true });
    const names =
      /twin\) that cr may not open \(CAP_CHECKPOINT_RESTORE\), and a descriptor that may be of it/;
    expectRefusal(result, { codes: ["UNSUPPORTED_STATE"], names });
    expect(runsFreely(target)).toBe(true);
  }));

test("a deleted file whose folder is gone comes back in memory", () =>
  withScene(async (scene) => {
    const script = [
      "import ctypes,os,time",
      "libc=ctypes.CDLL(None); libc.mmap.restype=ctypes.c_void_p",
      "os.mkdir('gone'); f=open('gone/file','w+b'); f.write(b'in it'*1000); f.flush()",
      "m=libc.mmap(None,ctypes.c_size_t(8192),3,1,f.fileno(),ctypes.c_long(0)); f.close()",
      "os.unlink('gone/file'); os.rmdir('gone')",
      "print('ready',flush=True)",
      "while not os.path.exists('go'): time.sleep(0.01)",
      "ctypes.memset(m,73,1); print(ctypes.string_at(m,5000)==b'I'+(b'in it'*1000)[1:], flush=True)",
    ].join("\n");
    const target = await scene.start(["python3", "-c", script]);
    await target.says("ready");
    const core = join(scene.folder, "core");
    const result = await scene.cr(["checkpoint", `${target.pid}`, "-o", core, "--kill"]);
    expect(result.status, describeResult(result)).toBe(0);
    target.go();
    const restored = await scene.cr(["restore", core]);
    expect(restored.status, describeResult(restored)).toBe(0);
    expect(restored.stderr).toMatch(
      /gone\/file, deleted and mapped, cannot be made in its folder: it is in memory/,
    );
    expect(target.output()).toBe("ready\nTrue\n");
    rmSync(core);
  }));
