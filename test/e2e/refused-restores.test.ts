/** Good cores that cannot be restored here and now: refused before anything of the program runs, with a next step. */
import {
  appendFileSync,
  copyFileSync,
  readFileSync,
  renameSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import type { ErrorCode } from "../../src/errors.js";
import { describeResult } from "../harness/cr.js";
import { checkpoint } from "../harness/cycle.js";
import { sleep } from "../harness/eventually.js";
import { killHard, runsFreely, statOf } from "../harness/process.js";
import { expectRefusal, FAILED_FOREGROUND } from "../harness/refusal.js";
import { type Scene, withScene } from "../harness/scene.js";
import { fixture, type Target } from "../harness/target.js";

interface Life {
  readonly target: Target;
  readonly core: string;
  /** The program's own copy of the counter's executable. */
  readonly exe: string;
  /** Its own copy of a library. */
  readonly library: string;
}

/** A counter that has been checkpointed once; its files can be changed at will. */
async function saved(scene: Scene, kill = true): Promise<Life> {
  const exe = join(scene.folder, "program");
  const library = join(scene.folder, "libm.so.6");
  const core = join(scene.folder, "core");
  copyFileSync(fixture("counter"), exe);
  copyFileSync("/lib/x86_64-linux-gnu/libm.so.6", library);
  const target = await scene.start([exe, "FOLDER", "100000"], { env: { LD_PRELOAD: library } });
  await target.says("\n10\n");
  await checkpoint(scene, { target, core });
  if (kill) await killHard(target);
  return { target, core, exe, library };
}

async function refuses(
  scene: Scene,
  { target, core }: Life,
  { code, extra = [] }: { code: ErrorCode; extra?: readonly string[] },
): Promise<void> {
  const output = target.output();
  const options = { codes: [code], status: FAILED_FOREGROUND };
  expectRefusal(await scene.cr(["restore", core, ...extra]), options);
  expectRefusal(await scene.cr(["restore", "--detach", core, ...extra]), { codes: [code] });
  expect(statOf(target.pid)).toBeNull();
  expect(target.output()).toBe(output);
}

/** What is done to the files of the dead program, and the code that must come of it. */
const CHANGES: readonly (readonly [string, ErrorCode, (life: Life) => void])[] = [
  ["its executable is gone", "EXE_MISSING", ({ exe }) => rmSync(exe)],
  [
    "its executable is another build",
    "EXE_CHANGED",
    ({ exe }) => {
      rmSync(exe);
      copyFileSync(fixture("counter.nopie"), exe);
    },
  ],
  ["a library is gone", "EXE_MISSING", ({ library }) => rmSync(library)],
  [
    "a library is another build",
    "EXE_CHANGED",
    ({ library }) => {
      rmSync(library);
      copyFileSync("/lib/x86_64-linux-gnu/libc.so.6", library);
    },
  ],
  ["its output file is gone", "FILE_MISSING", ({ target }) => rmSync(target.outputFile)],
  ["its output file shrank", "FILE_CHANGED", ({ target }) => truncateSync(target.outputFile, 3)],
  [
    "its output file was replaced",
    "FILE_CHANGED",
    ({ target }) => {
      copyFileSync(target.outputFile, `${target.outputFile}.new`);
      renameSync(`${target.outputFile}.new`, target.outputFile);
    },
  ],
  [
    "its working folder is gone",
    "FILE_MISSING",
    ({ target }) => renameSync(target.folder, `${target.folder}.moved`),
  ],
];

describe("cr restore refuses a program when", () => {
  test.concurrent.each(CHANGES)("%s: %s", (what, code, change) =>
    withScene(async (scene) => {
      const life = await saved(scene);
      const before = readFileSync(life.target.outputFile);
      change(life);
      if (what.includes("working folder")) {
        expectRefusal(await scene.cr(["restore", life.core]), { codes: [code], status: FAILED_FOREGROUND });
        expect(statOf(life.target.pid)).toBeNull();
        return;
      }
      const left = what.startsWith("its output") ? null : before;
      await refuses(scene, life, { code });
      if (left) expect(readFileSync(life.target.outputFile).equals(left)).toBe(true);
    }),
  );

  test.concurrent("the wrong executable is named: EXE_CHANGED", () =>
    withScene(async (scene) => {
      const life = await saved(scene);
      await refuses(scene, life, { code: "EXE_CHANGED", extra: [fixture("heap")] });
      await refuses(scene, life, { code: "EXE_MISSING", extra: [join(scene.folder, "nowhere")] });
    }));

  test.concurrent("its pid is taken, by the program itself for instance: PID_TAKEN", () =>
    withScene(async (scene) => {
      const { target, core } = await saved(scene, false);
      const result = await scene.cr(["restore", core]);
      expectRefusal(result, { codes: ["PID_TAKEN"], status: FAILED_FOREGROUND, names: /program/ });
      expect(runsFreely(target)).toBe(true);
      const said = target.output().length;
      await sleep(100);
      expect(target.output().length).toBeGreaterThan(said);
    }));

  test.concurrent("somebody else has its output file open for writing: FILE_CHANGED", () =>
    withScene(async (scene) => {
      const life = await saved(scene);
      const writer = await scene.start(["sh", "-c", `exec sleep 1000 >> ${life.target.outputFile}`]);
      await sleep(100);
      appendFileSync(life.target.outputFile, "more\n");
      const result = await scene.cr(["restore", life.core]);
      expectRefusal(result, { codes: ["FILE_CHANGED"], status: FAILED_FOREGROUND, names: /sleep/ });
      expect(runsFreely(writer)).toBe(true);
      expect(life.target.output()).toMatch(/more\n$/);
    }));
});

describe("cr restore", () => {
  test.concurrent("takes a moved executable by its new name", () =>
    withScene(async (scene) => {
      const { target, core, exe } = await saved(scene);
      renameSync(exe, `${exe}.moved`);
      const result = await scene.cr(["restore", "--detach", core, `${exe}.moved`]);
      expect(result.status, describeResult(result)).toBe(0);
      const life = scene.adopt(target.pid);
      expect(runsFreely(life)).toBe(true);
    }));

  test.concurrent("saves the end of a file that grew before it cuts it back", () =>
    withScene(async (scene) => {
      const { target, core } = await saved(scene);
      const dead = target.output();
      const result = await scene.cr(["restore", "--detach", core]);
      expect(result.status, describeResult(result)).toBe(0);
      scene.adopt(target.pid);
      const tail = readFileSync(`${core}.tail.0.stdout`, "utf8");
      expect(tail.length).toBeGreaterThan(0);
      expect(dead.endsWith(tail)).toBe(true);
    }));

  test.concurrent("wants a core, and says how it is called otherwise", () =>
    withScene(async (scene) => {
      const result = await scene.cr(["restore"]);
      expect(result.status).toBe(2);
      expect(result.stderr).toMatch(/^cr: USAGE: .*\ncr: next: /m);
      writeFileSync(join(scene.folder, "x"), "");
      expect((await scene.cr(["restore", "x", "--pid", "maybe"])).status).toBe(2);
    }));
});
