/** Descriptors of real programs: what is saved, which share one offset, and what is refused by name. */
import { execFileSync } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { classifyFiles } from "../../src/checkpoint/files.js";
import { readDescriptors } from "../../src/tracee/descriptors.js";
import { type Scene, withScene } from "../harness/scene.js";

/** Starts python with `setup`, in the scene's folder. */
async function pythonWith(scene: Scene, setup: string) {
  const script = `import os,sys,time,fcntl,socket\n${setup}\nprint('ready',flush=True)\ntime.sleep(1000)`;
  const target = await scene.start(["python3", "-c", script], { cwd: scene.folder });
  await target.says("ready");
  return target;
}

async function classify(scene: Scene, setup: string) {
  const { pid } = await pythonWith(scene, setup);
  const { files, refusals } = classifyFiles(pid, readDescriptors(pid));
  const of = (fd: number) => {
    const descriptor = files.descriptors.find((one) => one.fd === fd);
    const description = files.descriptions.find(({ id }) => id === descriptor?.description);
    return { ...descriptor, ...description };
  };
  return { files, refusals, of };
}

describe("classifyFiles", () => {
  test("groups duplicates, which share one offset, apart from files opened twice", () =>
    withScene(async (scene) => {
      writeFileSync(join(scene.folder, "data"), "0123456789");
      const { of, refusals } = await classify(
        scene,
        [
          "a=os.open('data',os.O_RDWR); os.lseek(a,4,0)",
          "os.dup2(a,20,True); os.dup2(a,21,False)",
          "b=os.open('data',os.O_RDWR); os.lseek(b,4,0); os.dup2(b,22)",
          "os.dup2(os.open('data',os.O_RDONLY|os.O_APPEND),23)",
        ].join("\n"),
      );
      expect(refusals).toEqual([]);
      expect(of(20)).toMatchObject({ kind: "regular", path: join(scene.folder, "data"), position: 4n });
      expect(of(20).description).toBe(of(21).description);
      expect([of(20).cloexec, of(21).cloexec]).toEqual([false, true]);
      expect(of(22).description).not.toBe(of(20).description);
      expect(of(23).flags ?? 0).toBe(0o102000);
      expect(of(20).sizeBytes).toBe(10);
    }));

  test("knows devices without state, folders, and what leads outside on 0 to 2", () =>
    withScene(async (scene) => {
      const setup = [
        "os.dup2(os.open('/dev/zero',os.O_RDONLY),20); os.dup2(os.open('/dev/urandom',os.O_RDONLY),21)",
        "os.dup2(os.open('.',os.O_RDONLY|os.O_DIRECTORY),22)",
        "r,w=os.pipe(); os.dup2(r,0); os.dup2(0,23); os.close(r); os.close(w)",
      ];
      const { of, refusals } = await classify(scene, setup.join("\n"));
      expect(refusals).toEqual([]);
      expect([of(20).kind, of(21).kind, of(22).kind]).toEqual(["device", "device", "directory"]);
      expect(of(22).path).toBe(scene.folder);
      expect(of(0)).toMatchObject({ kind: "outside", path: expect.stringMatching(/^pipe:\[\d+\]$/) });
      // A duplicate of a standard descriptor goes where that one goes.
      expect(of(23).description).toBe(of(0).description);
    }));

  test("keeps a deleted file, whatever became of its name", () =>
    withScene(async (scene) => {
      const setup = [
        "os.dup2(os.open('gone',os.O_RDWR|os.O_CREAT),20); os.unlink('gone')",
        "os.dup2(os.open('again',os.O_RDWR|os.O_CREAT),21); os.unlink('again'); open('again','w')",
        "os.dup2(os.open('.',os.O_TMPFILE|os.O_RDWR),22)",
        "os.dup2(os.open('x (deleted)',os.O_RDWR|os.O_CREAT),23)",
      ];
      const { of, refusals } = await classify(scene, setup.join("\n"));
      expect(refusals).toEqual([]);
      expect([20, 21, 22, 23].map((fd) => of(fd).deleted)).toEqual([true, true, true, false]);
      expect(of(20).path).toBe(join(scene.folder, "gone"));
      expect(of(23).path).toBe(join(scene.folder, "x (deleted)"));
    }));

  test.each([
    ["a namespace", "os.dup2(os.open('/proc/self/ns/net',0),20)", /net:\[\d+\]/],
    [
      "a deleted folder",
      "os.mkdir('d'); os.dup2(os.open('d',0),20); os.rmdir('d')",
      /^the deleted folder \//,
    ],
    [
      "a file under its second name",
      "os.dup2(os.open('h',os.O_RDWR|os.O_CREAT),20); os.link('h','i'); os.unlink('h')",
      /hard link/,
    ],
    ["a device with state", "os.dup2(os.open('/dev/kmsg',os.O_RDONLY),20)", /^the device \/dev\/kmsg/],
    ["a terminal elsewhere", "m,s=os.openpty(); os.dup2(s,20); os.close(m)", /^the terminal \/dev\/pts/],
    [
      "a name that is not UTF-8",
      "os.dup2(os.open(b'n\\xff',os.O_RDWR|os.O_CREAT),20)",
      /not find by this name/,
    ],
  ])("refuses by name: %s", (_what, setup, what) =>
    withScene(async (scene) => {
      const { refusals } = await classify(scene, setup);
      const [first] = refusals;
      expect(first).toEqual({
        kind: "descriptor",
        skip: first?.id,
        id: expect.stringMatching(/^fd:\d+$/),
        what: expect.stringMatching(what),
      });
    }),
  );

  test("keeps masters of pseudo-terminals alone, and whether a slave had been open", () =>
    withScene(async (scene) => {
      const setup =
        "m,s=os.openpty(); os.dup2(m,20); os.close(s); os.dup2(os.open('/dev/ptmx',os.O_RDWR),21)";
      const { of, refusals } = await classify(scene, setup);
      expect(refusals).toEqual([]);
      expect(of(20).object).toMatchObject({ kind: "pty", end: "master", hungUp: true });
      expect(of(21).object).toMatchObject({ kind: "pty", end: "master", hungUp: false });
    }));

  test("refuses a message queue, and a file that a mount hides", () =>
    withScene(async (scene) => {
      const queues = join(scene.folder, "queues");
      const hidden = join(scene.folder, "hidden");
      mkdirSync(queues);
      writeFileSync(hidden, "the one that is open");
      writeFileSync(join(scene.folder, "other"), "the one on top");
      execFileSync("mount", ["-t", "mqueue", "mqueue", queues]);
      try {
        const setup = "os.dup2(os.open('queues/q',os.O_RDWR|os.O_CREAT),20); os.dup2(os.open('hidden',0),21)";
        const { pid } = await pythonWith(scene, setup);
        execFileSync("mount", ["--bind", join(scene.folder, "other"), hidden]);
        try {
          const { refusals } = classifyFiles(pid, readDescriptors(pid));
          expect(refusals.map(({ what }) => what)).toEqual([
            `a message queue (${queues}/q) that was opened as a file`,
            `${hidden}, which cr does not find by this name`,
          ]);
        } finally {
          execFileSync("umount", [hidden]);
        }
      } finally {
        execFileSync("umount", ["-l", queues]);
      }
    }));
});
