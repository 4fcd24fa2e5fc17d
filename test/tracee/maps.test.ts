/** Lines of maps and smaps: kinds, names of every sort, and a file that is really there. */
import { renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { parseSmaps, readMappings } from "../../src/tracee/maps.js";
import { withScene } from "../harness/scene.js";
import { fixture } from "../harness/target.js";

function only(line: string) {
  const vmas = parseSmaps(`${line}\n`);
  expect(vmas).toHaveLength(1);
  return vmas[0];
}

const AT = "7f0000000000-7f0000001000";

describe("parseSmaps", () => {
  test("reads a mapping with its flags", () => {
    const text = [
      `${AT} r-xp 00002000 fe:00 1234                       /usr/bin/cat`,
      "Size:                  4 kB",
      "VmFlags: rd ex mr mw me sd ",
      "",
    ].join("\n");
    expect(parseSmaps(text)).toEqual([
      {
        start: 0x7f00_0000_0000n,
        end: 0x7f00_0000_1000n,
        prot: "r-xp",
        offset: 0x2000n,
        path: "/usr/bin/cat",
        deleted: false,
        dev: "fe:00",
        ino: 1234n,
        flags: ["rd", "ex", "mr", "mw", "me", "sd"],
        kind: "file",
        file: null,
        guards: [],
      },
    ]);
  });

  test.each([
    ["rw-p 00000000 00:00 0 ", "anonymous", ""],
    ["rw-p 00000000 00:00 0                          [heap]", "anonymous", "[heap]"],
    ["rw-p 00000000 00:00 0                          [stack]", "anonymous", "[stack]"],
    ["rw-p 00000000 00:00 0                          [anon:a b: c]", "anonymous", "[anon:a b: c]"],
    ["rw-s 00000000 00:01 7                          [anon_shmem:x]", "shared-anonymous", "[anon_shmem:x]"],
    ["rw-p 00000000 00:06 5                          /dev/zero", "anonymous", "/dev/zero"],
    ["rw-s 00000000 00:01 5                          /dev/zero", "shared-anonymous", "/dev/zero"],
    ["rw-s 00000000 00:1a 5                          /dev/shm/x", "shared-file", "/dev/shm/x"],
    ["r--p 00000000 fe:00 5                          /a b  c", "file", "/a b  c"],
    ["r-xp 00000000 00:00 0                          [vdso]", "special", "[vdso]"],
    ["r--p 00000000 00:00 0                          [vvar_vclock]", "special", "[vvar_vclock]"],
    ["r-xp 00000000 00:00 0                          [uprobes]", "special", "[uprobes]"],
  ])("%s is %s", (rest, kind, path) => {
    expect(only(`${AT} ${rest}`)).toMatchObject({ kind, path, deleted: false });
  });

  test("knows huge pages without a file, by their size, and protection keys", () => {
    const huge = (prot: string) =>
      parseSmaps(
        [
          `7f0000000000-7f0000200000 ${prot} 00000000 00:10 77          /anon_hugepage (deleted)`,
          "KernelPageSize:     2048 kB",
          "ProtectionKey:         3",
          "VmFlags: rd wr mr mw me ht ",
        ].join("\n"),
      )[0];
    expect(huge("rw-p")).toMatchObject({ kind: "anonymous", hugePageBytes: 2 ** 21, protectionKey: 3 });
    expect(huge("rw-s")).toMatchObject({ kind: "shared-file" });
    const plain = parseSmaps(
      `${AT} rw-p 00000000 00:00 0\nKernelPageSize: 4 kB\nProtectionKey: 0\nVmFlags: rd `,
    );
    expect(Object.keys(plain[0] ?? {})).not.toEqual(expect.arrayContaining(["hugePageBytes"]));
    expect(plain[0]?.protectionKey).toBeUndefined();
  });

  test("takes (deleted) off once", () => {
    const vma = only(`${AT} rw-s 00000000 00:01 9                          /dev/zero (deleted)`);
    expect(vma).toMatchObject({ kind: "shared-anonymous", path: "/dev/zero", deleted: true });
    const odd = only(`${AT} r--p 00000000 fe:00 9                          /x (deleted) (deleted)`);
    expect(odd).toMatchObject({ path: "/x (deleted)", deleted: true });
  });

  test.each([
    ["newline", "/a\\012b", "/a\nb"],
    ["carriage return", "/a\rb", "/a\rb"],
    ["line separator", "/a\u2028b", "/a\u2028b"],
  ])("keeps a name with a %s", (_what, printed, path) => {
    expect(only(`${AT} r--p 00000000 fe:00 9                          ${printed}`)?.path).toBe(path);
  });

  test("leaves [vsyscall] out, which is the same everywhere", () => {
    const line = "ffffffffff600000-ffffffffff601000 --xp 00000000 00:00 0          [vsyscall]";
    expect(parseSmaps(line)).toEqual([]);
  });
});

describe("readMappings", () => {
  test("tells a deleted file from one that is called so", () =>
    withScene(async (scene) => {
      const named = join(scene.folder, "data (deleted)");
      writeFileSync(named, "x".repeat(4096));
      const script =
        "import mmap,sys,time\nf=open(sys.argv[1],'rb')\nm=mmap.mmap(f.fileno(),0,prot=mmap.PROT_READ)\nprint('ready',flush=True)\ntime.sleep(1000)";
      const target = await scene.start(["python3", "-c", script, named]);
      await target.says("ready");
      const find = () =>
        readMappings(target.pid).find(({ path }) => path.startsWith(join(scene.folder, "data")));
      expect(find()).toMatchObject({ path: named, deleted: false, kind: "shared-file" });
      writeFileSync(join(scene.folder, "other"), "y");
      renameSync(join(scene.folder, "other"), named);
      expect(find()).toMatchObject({ path: named, deleted: true });
    }));

  test("finds what every program has", () =>
    withScene(async (scene) => {
      const target = await scene.start([fixture("counter.static"), "FOLDER", "1000000"]);
      await target.says("ready");
      const vmas = readMappings(target.pid);
      expect(vmas.map(({ path }) => path)).toEqual(
        expect.arrayContaining([fixture("counter.static"), "[heap]", "[stack]", "[vdso]", "[vvar]"]),
      );
      expect(vmas.find(({ path }) => path === "[stack]")?.flags).toContain("gd");
      expect(
        vmas.every(({ start, end }, index) => end > start && start >= (vmas[index - 1]?.end ?? 0n)),
      ).toBe(true);
    }));
});
