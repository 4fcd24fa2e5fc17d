/** A user's own program, looked at without root's rights: what cannot be read is named, what can be asked is exact. */
import { chmodSync, chownSync, copyFileSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { describeResult, jsonOf, NOBODY } from "../harness/cr.js";
import { runsFreely } from "../harness/process.js";
import { expectRefusal } from "../harness/refusal.js";
import { type Scene, withScene } from "../harness/scene.js";
import { fixture } from "../harness/target.js";

/** A program that root starts, and that becomes nobody's after `setup`; a folder for its core. */
async function nobodyAfter(scene: Scene, setup: string) {
  const folder = join(scene.folder, "cores");
  mkdirSync(folder);
  chownSync(folder, NOBODY, NOBODY);
  chmodSync(scene.folder, 0o755);
  const script = [
    "import ctypes,os,time",
    "libc=ctypes.CDLL(None)",
    setup,
    `os.setgroups([]); os.setresgid(${NOBODY},${NOBODY},${NOBODY}); os.setresuid(${NOBODY},${NOBODY},${NOBODY})`,
    // Changing the user made it undumpable: PR_SET_DUMPABLE.
    "libc.prctl(4,1,0,0,0); libc.prctl(29,123456,0,0,0)",
    "print('ready',flush=True)",
    "time.sleep(1000)",
  ].join("\n");
  const target = await scene.start(["/usr/bin/python3", "-c", script], { cwd: scene.folder });
  await target.says("ready");
  return { target, core: join(folder, "core") };
}

describe("cr checkpoint as nobody", () => {
  test("names a program file that only root can get at", () =>
    withScene(async (scene) => {
      const hidden = join(scene.folder, "hidden");
      mkdirSync(hidden, { mode: 0o700 });
      copyFileSync(fixture("counter"), join(hidden, "counter"));
      const script = `exec setpriv --reuid ${NOBODY} --regid ${NOBODY} --clear-groups $0/counter $1 1000000`;
      // Its folder is closed only after it has started.
      chmodSync(hidden, 0o755);
      const target = await scene.start(["sh", "-c", script, hidden, "FOLDER"]);
      await target.says("ready");
      chmodSync(hidden, 0o700);
      const result = await scene.cr(["checkpoint", `${target.pid}`, "-o", "/tmp/none"], { asNobody: true });
      const names = /a mapping of \/.*\/hidden\/counter, which cr does not find by this name/;
      expectRefusal(result, { codes: ["UNSUPPORTED_STATE"], names });
      expect(runsFreely(target)).toBe(true);
    }));

  test("records the timer slack, which only root may read from outside", () =>
    withScene(async (scene) => {
      const { target, core } = await nobodyAfter(scene, "");
      const result = await scene.cr(["checkpoint", `${target.pid}`, "-o", core], { asNobody: true });
      expect(result.status, describeResult(result)).toBe(0);
      const told = jsonOf(await scene.cr(["inspect", "--json", core], { asNobody: true }));
      expect(JSON.stringify(told)).toContain("0x1e240");
    }));

  test("needs no right to open a pipe on standard input in which nothing waits", () =>
    withScene(async (scene) => {
      const { target, core } = await nobodyAfter(
        scene,
        "r,w=os.pipe(); os.dup2(r,0); os.close(r); os.close(w)",
      );
      const result = await scene.cr(["checkpoint", `${target.pid}`, "-o", core], { asNobody: true });
      expect(result.status, describeResult(result)).toBe(0);
      expect(runsFreely(target)).toBe(true);
    }));

  test.each([
    [
      "unread input in another user's pipe",
      "r,w=os.pipe(); os.dup2(r,0); os.write(w,b'x'); os.close(r); os.close(w)",
      /fd:0: pipe:\[\d+\], whose content cannot be read \(EACCES\)/,
    ],
    [
      "a deleted file of another user",
      "f=os.open('f',os.O_RDWR|os.O_CREAT,0o600); os.write(f,b'x'); os.unlink('f')",
      /fd:3: .*\/f, whose content cannot be read \(EACCES\)/,
    ],
  ])("refuses by name: %s", (_what, setup, names) =>
    withScene(async (scene) => {
      const { target, core } = await nobodyAfter(scene, setup);
      const result = await scene.cr(["checkpoint", `${target.pid}`, "-o", core], { asNobody: true });
      expectRefusal(result, { codes: ["UNSUPPORTED_STATE"], names });
      expect(runsFreely(target)).toBe(true);
    }),
  );
});
