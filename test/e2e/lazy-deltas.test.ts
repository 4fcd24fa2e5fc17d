/**
 * `cr restore --lazy` of a core that builds on earlier ones: the program notices nothing, whatever it does to its memory
 * meanwhile, and an ancestor that is missing, altered or cut short is told by name.
 */
import {
  copyFileSync,
  existsSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { readCore } from "../../src/core/read-core.js";
import { describeResult } from "../harness/cr.js";
import { restore, running } from "../harness/cycle.js";
import { eventually } from "../harness/eventually.js";
import { type Pace, serversGone, serversOf, shutTap } from "../harness/page-server.js";
import { exeOf, findOfScene, isAlive, killHard } from "../harness/process.js";
import { expectRefusal, FAILED_FOREGROUND } from "../harness/refusal.js";
import { type Scene, withScene } from "../harness/scene.js";
import type { Target } from "../harness/target.js";
import { allowTurns, begin, beginChain, expectGood, flip, LAZY } from "./lazy-scene.js";

const PACKED = ["--compress", "zstd"];

/** Killed, restored from `core`, and let go on to its end through all of its turns. */
async function goesOn(
  scene: Scene,
  {
    target,
    core = "",
    env = {},
  }: { readonly target: Target; readonly core?: string | undefined; readonly env?: Pace["env"] },
): Promise<void> {
  await killHard(target);
  allowTurns(target, 9);
  target.go();
  await expectGood(scene.startCr(["restore", core, ...LAZY], { env }), target);
}

/** The third core of a chain, and a page that it inherits from the first. */
async function beginInherited(scene: Scene) {
  const { target, cores } = await beginChain(scene, ["lazy", "0", "31", "3"]);
  const [first = "", second = "", core = ""] = cores;
  const { delta } = readCore(core).state;
  const names = delta?.ancestors.map(({ name }) => name);
  expect(names).toEqual(["core.2", "core.1"]);
  const run = delta?.inherited.find(({ ancestor }) => ancestor === 1);
  expect(delta?.inherited.some(({ ancestor }) => ancestor === 0)).toBe(true);
  if (run === undefined) throw new Error("nothing is inherited from the first core");
  return { target, first, second, core, run };
}

/** A core of a watched job with more than one ancestor, none of which is as large as all after it. */
function chained(folder: string): string | undefined {
  const names = existsSync(folder) ? readdirSync(folder).filter((name) => /^core\.\d+\.\d+$/.test(name)) : [];
  return names.map((name) => join(folder, name)).find((core) => readCore(core).parents.length > 1);
}

describe("goes on after a lazy restore of the third core of a chain", () => {
  test.concurrent("a program that moves, drops and forks memory which is being filled in", () =>
    withScene(async (scene) => {
      const { target, cores } = await beginChain(scene, ["lazy", "2000", "21", "3"]);
      await goesOn(scene, { target, core: cores[2] });
    }));

  test.concurrent("the same when only what is touched is there, and the cores are compressed", () =>
    withScene(async (scene) => {
      const { target, cores } = await beginChain(scene, ["lazy", "600", "22", "3"], [PACKED, [], PACKED]);
      await goesOn(scene, { target, core: cores[2], env: shutTap(scene).env });
    }));

  test.concurrent("one whose first and last cores are plain and the second is not", () =>
    withScene(async (scene) => {
      const { target, cores } = await beginChain(scene, ["lazy", "600", "23", "3"], [[], PACKED, []]);
      await goesOn(scene, { target, core: cores[2] });
    }));

  test.concurrent.each([["in the background"], ["when it is touched"]])(
    "one that turns all its memory over, which comes %s",
    (how) =>
      withScene(async (scene) => {
        const { target, cores } = await beginChain(scene, ["upheaval", "5", "6", "60"]);
        const env = how === "when it is touched" ? shutTap(scene).env : {};
        await goesOn(scene, { target, core: cores[2], env });
      }),
  );

  test.concurrent("twice, a core that builds on what was restored lazily in between", () =>
    withScene(async (scene) => {
      const { target, cores } = await beginChain(scene, ["lazy", "300", "24", "3"]);
      const { program } = await restore(scene, { target, core: cores[2] ?? "", extra: LAZY });
      if (program === null) throw new Error("it is not there");
      const core = join(scene.folder, "core.4");
      const taken = await scene.cr(["checkpoint", `${program.pid}`, "-o", core]);
      expect(taken.status, describeResult(taken)).toBe(0);
      await killHard(program);
      await goesOn(scene, { target, core });
    }));
});

test.each([["in the background"], ["when it is touched"]])(
  "a program that cr watch has watched comes %s from one of its cores",
  (how) =>
    withScene(async (scene) => {
      const target = await begin(scene, ["rewriter"]);
      const env = { CR_HOME: join(scene.folder, "home") };
      const args = ["watch", `${target.pid}`, "--every", "100ms", "--keep-last", "99", "--name", "w"];
      const watching = scene.startCr(args, { env });
      const core = await eventually("one builds on two others", () => chained(join(env.CR_HOME, "w")));
      process.kill(watching.pid, "SIGINT");
      const { status, stderr } = await watching.done;
      expect(status, stderr).toBe(0);
      const tap = how === "when it is touched" ? shutTap(scene).env : {};
      const { cr } = await restore(scene, { target, core, extra: LAZY, env: tap });
      target.go();
      await expectGood(cr, target);
    }),
);

describe("while memory comes from several cores", () => {
  test.concurrent("all of them may be deleted", () =>
    withScene(async (scene) => {
      const { target, cores } = await beginChain(scene, ["lazy", "100", "25", "3"]);
      const { env } = shutTap(scene);
      const { cr } = await restore(scene, { target, core: cores[2] ?? "", extra: LAZY, env });
      for (const core of cores) rmSync(core);
      allowTurns(target, 3);
      target.go();
      await expectGood(cr, target);
    }));

  test.concurrent("a killed page server ends the program", () =>
    withScene(async (scene) => {
      const { target, cores } = await beginChain(scene, ["lazy", "100", "26", "3"]);
      const { env } = shutTap(scene);
      const restored = await restore(scene, { target, core: cores[2] ?? "", extra: LAZY, env });
      const program = await running(restored);
      process.kill((await serversOf(scene)).server.pid, "SIGKILL");
      expectRefusal(await restored.cr.done, { codes: ["PAGE_SERVER_LOST"], status: FAILED_FOREGROUND });
      expect(isAlive(program)).toBe(false);
      await serversGone(scene);
      await goesOn(scene, { target, core: cores[2] });
    }));

  test.concurrent("altered memory of an ancestor never reaches the program, and the ancestor is named", () =>
    withScene(async (scene) => {
      const { target, first, core, run } = await beginInherited(scene);
      flip(first, run.fileOffset + 100);
      await killHard(target);
      allowTurns(target, 3);
      target.go();
      const end = await scene.cr(["restore", core, ...LAZY], { env: shutTap(scene).env });
      const place = `the pages at 0x${run.address.toString(16)} \\(file offset ${run.fileOffset} of ${first}\\)`;
      expectRefusal(end, {
        codes: ["CORE_CORRUPT"],
        status: FAILED_FOREGROUND,
        names: new RegExp(`^cannot bring the memory of the program of ${core}: ${place}: do not match`),
      });
      expect(target.output()).toMatch(/ready\n$/);
    }));

  test.concurrent("the same is told beside the core when cr is gone", () =>
    withScene(async (scene) => {
      const { target, first, core, run } = await beginInherited(scene);
      flip(first, run.fileOffset + 100);
      const exe = exeOf(target.pid);
      await killHard(target);
      const restored = await scene.cr(["restore", core, "-d", ...LAZY]);
      expect(restored.status, describeResult(restored)).toBe(0);
      const lost = `${core}.lost.${target.pid}`;
      await eventually("it is told", () => existsSync(lost) && statSync(lost).size > 0);
      await serversGone(scene);
      expect(readFileSync(lost, "utf8")).toMatch(`CORE_CORRUPT the pages at 0x${run.address.toString(16)} `);
      expect(readFileSync(lost, "utf8")).toContain(` of ${first}): do not match`);
      expect(findOfScene(scene.folder).filter(({ command }) => command.startsWith(exe))).toEqual([]);
    }));

  test.concurrent("an ancestor that is cut short is named", () =>
    withScene(async (scene) => {
      const { target, first, core } = await beginInherited(scene);
      const { env } = shutTap(scene);
      const { cr } = await restore(scene, { target, core, extra: LAZY, env });
      allowTurns(target, 3);
      await eventually("it has what it needs to wait", () => target.output().endsWith("ready\n"));
      truncateSync(first, 65536);
      target.go();
      expectRefusal(await cr.done, {
        codes: ["CORE_TRUNCATED"],
        status: FAILED_FOREGROUND,
        names: new RegExp(`\\(file offset \\d+ of ${first}\\): are behind the end of the file`),
      });
      expect(target.output()).toMatch(/ready\n$/);
    }));
});

test("an ancestor that is missing or another one is refused before anything is started", () =>
  withScene(async (scene) => {
    const { target, first, second, core } = await beginInherited(scene);
    await killHard(target);
    const refused = async (code: "PARENT_MISSING" | "PARENT_CHANGED" | "PARENT_OTHER", names: string) => {
      const said = await scene.cr(["restore", core, ...LAZY]);
      expectRefusal(said, { codes: [code], status: FAILED_FOREGROUND, names });
      expect(findOfScene(scene.folder)).toEqual([]);
      expect(target.output()).toMatch(/turn 3\n$/);
    };
    const good = join(scene.folder, "good");
    copyFileSync(first, good);
    rmSync(first);
    await refused("PARENT_MISSING", first);
    copyFileSync(second, first);
    await refused("PARENT_CHANGED", first);
    const other = await begin(scene, ["heap"]);
    const taken = await scene.cr(["checkpoint", `${other.pid}`, "-o", first, "--force"]);
    expect(taken.status, describeResult(taken)).toBe(0);
    await killHard(other);
    await refused("PARENT_OTHER", first);
    writeFileSync(first, readFileSync(good));
    await goesOn(scene, { target, core });
  }));
