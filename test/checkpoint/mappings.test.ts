/** Mappings of real programs that cannot be made again are refused by name, with their address. */
import { execFileSync } from "node:child_process";
import { constants, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { lookAtObjects } from "../../src/checkpoint/mapped-objects.js";
import { MappedFiles, refusedMappings, sharedWithOthers } from "../../src/checkpoint/mappings.js";
import { readDescriptors } from "../../src/tracee/descriptors.js";
import { mappersOutside, parseSmaps, readMappings } from "../../src/tracee/maps.js";
import { type Scene, withScene } from "../harness/scene.js";
import { fixture } from "../harness/target.js";

const IMPORTS =
  "import ctypes,mmap,os,sys,time\nlibc=ctypes.CDLL(None,use_errno=True)\n" +
  "libc.mmap.restype=ctypes.c_size_t; libc.mmap.argtypes=[ctypes.c_size_t]*2+[ctypes.c_int]*3+[ctypes.c_long]\n";

async function pythonWith(scene: Scene, setup: string) {
  const script = `${IMPORTS}${setup}\nprint('ready',flush=True)\ntime.sleep(1000)`;
  const target = await scene.start(["python3", "-c", script], { cwd: scene.folder });
  await target.says("ready");
  return target;
}

/** Anonymous memory at p. */
const ANONYMOUS = "p=libc.mmap(0,4096,3,0x22,-1,0)";

/** Memory registered with a userfaultfd of its own: mode 1 for missing pages, 2 for writes (userfaultfd(2)). */
function uffd(mode: number): string {
  return [
    `${ANONYMOUS}; import fcntl,struct`,
    "u=libc.syscall(323,1); assert u>=0",
    "fcntl.ioctl(u,0xc018aa3f,struct.pack('QQQ',0xaa,0,0))",
    `fcntl.ioctl(u,0xc020aa00,struct.pack('QQQQ',p,4096,${mode},0))`,
  ].join("\n");
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
    ["a userfaultfd", uffd(1), /^memory watched by a userfaultfd$/],
    ["a userfaultfd that protects from writes", uffd(2), /^memory write-protected by a userfaultfd$/],
    ["secret memory", "f=libc.syscall(447,0); os.ftruncate(f,4096); m=mmap.mmap(f,4096)", /^secret memory/],
    ["sealed memory", `${ANONYMOUS}; e=libc.syscall(462,ctypes.c_void_p(p),4096,0); assert e==0`, /mseal/],
    [
      "droppable memory",
      "p=libc.mmap(0,4096,3,0x28,-1,0); assert p!=2**64-1",
      /^memory the kernel may drop$/,
    ],
    [
      "shared huge pages",
      "p=libc.mmap(0,2<<20,3,0x44021,-1,0); assert p!=2**64-1",
      /^huge pages of hugetlbfs/,
    ],
    [
      "a ring of io_uring",
      "f=libc.syscall(425,4,ctypes.create_string_buffer(120)); assert f>=0; m=mmap.mmap(f,4096)",
      /^memory of a device or kernel object \(anon_inode:\[io_uring\]\)$/,
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
const MAP = "m=lambda fd,how: libc.mmap(0,4096,3,how,fd,0)";

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

test("memory with a protection key is refused, but what may only be executed has one of the kernel's own", () => {
  const line = "7f0000000000-7f0000001000";
  const keyed = (prot: string) =>
    parseSmaps(`${line} ${prot} 00000000 00:00 0 \nProtectionKey: 1\nVmFlags: mr mw me `);
  expect(refusedMappings(keyed("rw-p"))).toEqual([
    { kind: "mapping", id: "0x7f0000000000", what: "memory with protection key 1 (pkey_mprotect)" },
  ]);
  expect(refusedMappings(keyed("--xp"))).toEqual([]);
});
