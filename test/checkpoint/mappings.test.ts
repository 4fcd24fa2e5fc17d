/** Mappings of real programs that cannot be made again are refused by name, with their address. */
import { execFileSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { MappedFiles, refusedMappings, sharedWithOthers } from "../../src/checkpoint/mappings.js";
import { otherMappers, readMappings } from "../../src/tracee/maps.js";
import { type Scene, withScene } from "../harness/scene.js";
import { fixture } from "../harness/target.js";

const IMPORTS = "import ctypes,mmap,os,sys,time\nlibc=ctypes.CDLL(None,use_errno=True)\n";

async function pythonWith(scene: Scene, setup: string) {
  const script = `${IMPORTS}${setup}\nprint('ready',flush=True)\ntime.sleep(1000)`;
  const target = await scene.start(["python3", "-c", script], { cwd: scene.folder });
  await target.says("ready");
  return target;
}

function refusalsOf(pid: number) {
  return refusedMappings(new MappedFiles().identify(pid, readMappings(pid)));
}

describe("refusedMappings", () => {
  test.each([
    ["memfd", "m=mmap.mmap((f:=os.memfd_create('x'),os.ftruncate(f,4096))[0],4096)", /^a memfd \(\/memfd:x/],
    [
      "System V",
      "libc.shmat.restype=ctypes.c_void_p; i=libc.shmget(0,4096,0o1600); libc.shmat(i,0,0); libc.shmctl(i,0,0)",
      /^a System V shared memory/,
    ],
    [
      "a deleted file",
      "f=open('d','w+b'); f.write(b'x'*4096); f.flush(); m=mmap.mmap(f.fileno(),4096); os.unlink('d')",
      /^a mapping of the deleted file \/.*\/d$/,
    ],
    [
      "an AIO context",
      "c=ctypes.c_ulong(0); libc.syscall(206,8,ctypes.byref(c))",
      /^an asynchronous I\/O context/,
    ],
    [
      "a name that is not UTF-8",
      "f=open(b'n\\xff','w+b'); f.write(b'x'*4096); f.flush(); m=mmap.mmap(f.fileno(),4096)",
      /not find by this name/,
    ],
  ])("%s", (_what, setup, what) =>
    withScene(async (scene) => {
      const { pid } = await pythonWith(scene, setup);
      expect(refusalsOf(pid)).toEqual([
        { kind: "mapping", id: expect.stringMatching(/^0x[0-9a-f]+$/), what: expect.stringMatching(what) },
      ]);
    }),
  );

  test("a file that another one was mounted over", () =>
    withScene(async (scene) => {
      const [file, other] = [join(scene.folder, "file"), join(scene.folder, "other")];
      for (const path of [file, other]) writeFileSync(path, "x".repeat(4096));
      const { pid } = await pythonWith(scene, "f=open('file','r+b'); m=mmap.mmap(f.fileno(),4096)");
      expect(refusalsOf(pid)).toEqual([]);
      execFileSync("mount", ["--bind", other, file]);
      try {
        expect(refusalsOf(pid)).toMatchObject([
          { what: `a mapping of ${file}, which cr does not find by this name` },
        ]);
      } finally {
        execFileSync("umount", [file]);
      }
    }));

  test("nothing of ordinary programs", () =>
    withScene(async (scene) => {
      for (const name of ["anon", "shared", "filemap", "stack", "advice"]) {
        const target = await scene.start([fixture(name), "FOLDER"]);
        await target.says("ready");
        expect(refusalsOf(target.pid), name).toEqual([]);
      }
    }));
});

test("shared memory is refused while another process maps it, and only that", () =>
  withScene(async (scene) => {
    const setup = [
      "a=mmap.mmap(-1,8192); b=mmap.mmap(-1,8192)",
      "p=os.fork()",
      "if p==0: a.close(); time.sleep(1000)",
      "print('child',p,flush=True)",
    ].join("\n");
    const target = await pythonWith(scene, setup);
    const child = scene.adopt(Number(target.output().match(/child (\d+)/)?.[1]));
    const refusals = () => {
      const vmas = readMappings(target.pid);
      return sharedWithOthers(vmas, otherMappers([target.pid], vmas));
    };
    expect(refusals()).toMatchObject([{ what: `memory shared with process ${child.pid}` }]);
    process.kill(child.pid, "SIGKILL");
    await expect.poll(refusals).toEqual([]);
  }));

test("MappedFiles looks again when a file has changed", () =>
  withScene(async (scene) => {
    const file = join(scene.folder, "file");
    writeFileSync(file, "x".repeat(4096));
    const { pid } = await pythonWith(scene, "f=open('file','r+b'); m=mmap.mmap(f.fileno(),4096)");
    const files = new MappedFiles();
    const look = () => files.identify(pid, readMappings(pid)).find(({ path }) => path === file)?.file;
    expect(look()).toMatchObject({ sizeBytes: 4096, buildId: null });
    writeFileSync(file, "y".repeat(8192));
    expect(look()).toMatchObject({ sizeBytes: 8192 });
    const python = files.identify(pid, readMappings(pid)).find(({ path }) => /\/libc\.so|\/libc-/.test(path));
    expect(python?.file?.buildId).toMatch(/^[0-9a-f]{40}$/);
  }));
