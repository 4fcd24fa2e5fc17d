/** Mappings of real programs that cannot be made again are refused by name, with their address. */
import { execFileSync } from "node:child_process";
import { constants, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { lookAtObjects } from "../../src/checkpoint/mapped-objects.js";
import { MappedFiles, refusedMappings, sharedWithOthers } from "../../src/checkpoint/mappings.js";
import { readDescriptors } from "../../src/tracee/descriptors.js";
import { mappersOutside, readMappings } from "../../src/tracee/maps.js";
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

/** Maps it by libc: Python's own mmap keeps a descriptor. */
const MAP = "libc.mmap.restype=ctypes.c_void_p; m=lambda fd,how: libc.mmap(None,4096,3,how,fd,0)";

describe("lookAtObjects", () => {
  const lookAt = (pid: number) => lookAtObjects(readMappings(pid), { pid, open: readDescriptors(pid) });

  test("finds what is behind mappings without a name, once for each way it is open", () =>
    withScene(async (scene) => {
      const setup = [
        MAP,
        "a=os.memfd_create('a'); os.ftruncate(a,5000); m(a,1); m(a,2); os.close(a)",
        "libc.shmat.restype=ctypes.c_void_p; i=libc.shmget(0,4096,0o1600); libc.shmat(i,0,0); libc.shmctl(i,0,0)",
        "d=os.open('d',os.O_RDWR|os.O_CREAT,0o640); os.ftruncate(d,99); m(d,2); os.close(d); os.unlink('d')",
      ].join("\n");
      const { pid } = await pythonWith(scene, setup);
      const { mapped, segments, refusals, vmas } = lookAt(pid);
      expect(refusals).toEqual([]);
      const files = mapped.map(({ file: { kind, flags, sizeBytes, object } }) => ({
        kind,
        flags,
        sizeBytes,
        object,
      }));
      const memfd = { kind: "memfd", sizeBytes: 5000, object: { kind: "memfd", name: "a", seals: 1 } };
      expect(files).toHaveLength(3);
      expect(files).toContainEqual({ ...memfd, flags: constants.O_RDWR });
      expect(files).toContainEqual({ ...memfd, flags: constants.O_RDONLY });
      expect(files).toContainEqual({
        kind: "regular",
        flags: constants.O_RDONLY,
        sizeBytes: 99,
        object: null,
      });
      expect(segments).toMatchObject([
        { key: 0, sizeBytes: 4096, mode: 0o600, removed: true, locked: false },
      ]);
      const starts = [...mapped, ...segments].flatMap((one) => one.starts);
      expect(vmas.filter(({ start }) => starts.includes(start)).every(({ file }) => file !== null)).toBe(
        true,
      );
    }));

  test("refuses a shared file that has another name elsewhere", () =>
    withScene(async (scene) => {
      const setup = [
        MAP,
        "d=os.open('d',os.O_RDWR|os.O_CREAT); os.ftruncate(d,99); m(d,1)",
        "os.mkdir('other'); os.link('d','other/d'); os.unlink('d')",
      ].join("\n");
      const { pid } = await pythonWith(scene, setup);
      expect(lookAt(pid).refusals).toMatchObject([
        {
          what: `a mapping of the deleted file (${scene.folder}/d), which has another name by now (hard link)`,
        },
      ]);
    }));

  test("takes a shared file by its other name beside the first, as semaphores have one", () =>
    withScene(async (scene) => {
      const setup = [
        MAP,
        "d=os.open('d',os.O_RDWR|os.O_CREAT); os.ftruncate(d,99); m(d,1)",
        "os.link('d','e'); os.unlink('d')",
      ].join("\n");
      const { pid } = await pythonWith(scene, setup);
      const path = join(scene.folder, "e");
      const found = new MappedFiles().identify(pid, readMappings(pid)).find((vma) => vma.path === path);
      expect(found).toMatchObject({ deleted: false, kind: "shared-file", file: { sizeBytes: 99 } });
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
      return sharedWithOthers(vmas, mappersOutside([target.pid], vmas));
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
