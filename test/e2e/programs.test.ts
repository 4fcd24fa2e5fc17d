/** Unmodified programs from Debian: a life with a checkpoint, a kill and a restore ends as an undisturbed one. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { copyFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { describeResult } from "../harness/cr.js";
import { checkpoint, restore, running, save } from "../harness/cycle.js";
import { sleep } from "../harness/eventually.js";
import { type Identity, isAlive, runsFreely } from "../harness/process.js";
import { type Scene, withScene } from "../harness/scene.js";
import type { Target } from "../harness/target.js";
import { PROGRAMS, type Program, requirePrograms } from "./program-list.js";

let shared = "";
/** The working folder of each target. */
const folders = new WeakMap<Target, string>();

beforeAll(() => {
  requirePrograms();
  shared = mkdtempSync(join(tmpdir(), "recore-programs-"));
  for (const mib of new Set(PROGRAMS.flatMap((program) => program.corpusMib ?? []))) {
    writeFileSync(join(shared, `corpus${mib}`), corpus(mib));
  }
});

afterAll(() => rmSync(shared, { recursive: true, force: true }));

describe("a program that was killed and restored ends like one that was left alone", () => {
  test.concurrent.each(PROGRAMS.map((program) => [program.name, program] as const))(
    "%s",
    { timeout: 400_000 },
    (_name, program) =>
      withScene(async (scene) => {
        const expected = await undisturbed(scene, program);
        const target = await begin(scene, program);
        const core = join(scene.folder, "core");
        await sleep(600);
        expect(isAlive(target), `too short to be checkpointed midway: ${target.output()}`).toBe(true);
        await save(scene, { target, core });
        if (runsFreely(target)) await sleep(500);
        else await expectEnd(target, program, expected);
        const { cr } = await restore(scene, { target, core });
        const end = await cr.done;
        expect(end.status, describeResult(end)).toBe(program.status);
        expect(resultOf(target, program).equals(expected)).toBe(true);
      }),
  );
});

test.each(["python3", "node"])(
  "ten checkpoints, kills and restores in one life of %s",
  {
    timeout: 400_000,
  },
  (name) =>
    withScene(async (scene) => {
      const program = PROGRAMS.find((one) => one.name === name) as Program;
      const expected = await undisturbed(scene, program);
      const target = await begin(scene, program);
      let life: Identity = target;
      for (let cycle = 1; cycle <= 10; cycle += 1) {
        const core = join(scene.folder, `core.${cycle}`);
        await sleep(120);
        await checkpoint(scene, { target: life, core });
        await sleep(120);
        const restored = await restore(scene, { target: life, core });
        life = await running(restored);
        if (cycle < 10) continue;
        const end = await restored.cr.done;
        expect(end.status, describeResult(end)).toBe(program.status);
      }
      expect(resultOf(target, program).equals(expected)).toBe(true);
    }),
);

/** Starts the program with its input in place. */
async function begin(scene: Scene, program: Program): Promise<Target> {
  const input = join(scene.folder, "input");
  writeFileSync(input, program.input ?? "");
  const folder = mkdtempSync(join(scene.folder, "work"));
  if (program.corpusMib) await copyFile(join(shared, `corpus${program.corpusMib}`), join(folder, "corpus"));
  for (const [name, text] of Object.entries(program.files ?? {})) writeFileSync(join(folder, name), text);
  const target = await scene.start(program.argv, { stdin: { kind: "file", path: input }, cwd: folder });
  folders.set(target, folder);
  return target;
}

/** The program came to its end while its copy was still written, and to the right one. */
async function expectEnd(target: Target, program: Program, result: Buffer): Promise<void> {
  expect(await target.ended()).toBe(`exited ${program.status}`);
  expect(resultOf(target, program).equals(result)).toBe(true);
}

/** The result of a run that nothing touches. */
async function undisturbed(scene: Scene, program: Program): Promise<Buffer> {
  const target = await begin(scene, program);
  expect(await target.ended({ timeoutMs: 150_000 }), target.output()).toBe(`exited ${program.status}`);
  return resultOf(target, program);
}

function resultOf(target: Target, program: Program): Buffer {
  return readFileSync(program.result ? join(folders.get(target) ?? "", program.result) : target.outputFile);
}

/** Text of about `mib` MiB in which every line differs, the same on every machine. */
function corpus(mib: number): Buffer {
  const bytes = Buffer.alloc(mib << 20);
  let state = 1;
  let at = 0;
  const next = (below: number) => {
    state = (Math.imul(state, 1103515245) + 12345) >>> 0;
    return (state >>> 8) % below;
  };
  const words = Array.from({ length: 4000 }, () => next(1 << 24).toString(36));
  while (at < bytes.length - 80) {
    const line = Array.from({ length: 6 }, () => words[next(words.length)]).join(" ");
    at += bytes.write(`${line}\n`, at);
  }
  return bytes.subarray(0, at);
}
