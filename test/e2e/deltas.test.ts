/**
 * Cores that hold only what changed: whatever a program does to its memory between them, a restore brings back every
 * page as it was; where that cannot be known a whole core is written; a broken chain is refused by name.
 */
import { copyFileSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { checkpoint } from "../../src/checkpoint/checkpoint.js";
import { Lineage } from "../../src/checkpoint/lineage.js";
import { readCore } from "../../src/core/read-core.js";
import { describeResult, jsonOf } from "../harness/cr.js";
import { eventually } from "../harness/eventually.js";
import { killHard } from "../harness/process.js";
import { type Scene, withScene } from "../harness/scene.js";
import { fixture, type Target } from "../harness/target.js";
import { alterCore } from "./alter-core.js";

const TURNS = 8;
/** Another one can be tried: CR_TEST_SEED=7 npx vitest run test/e2e/deltas.test.ts */
const SEED = process.env.CR_TEST_SEED ?? "20261120";

async function begin(scene: Scene, argv: readonly string[]): Promise<Target> {
  const [name = "", ...rest] = argv;
  const target = await scene.start([fixture(name), "FOLDER", ...rest]);
  await target.says(name === "upheaval" ? "turn 1\n" : "ready");
  return target;
}

/** Kills it if it still runs, restores it, and expects it to find all as it must be and to end. */
async function endsWell(scene: Scene, target: Target, core: string): Promise<void> {
  await killHard(target);
  for (let turn = 1; turn <= TURNS; turn += 1) writeFileSync(join(target.folder, `turn.${turn}`), "");
  target.go();
  const end = await scene.cr(["restore", core]);
  expect(end.status, `seed ${SEED}: ${describeResult(end)}\nit said: ${target.output()}`).toBe(0);
}

async function verifies(scene: Scene, core: string): Promise<void> {
  const verified = await scene.cr(["verify", core]);
  expect(verified.status, describeResult(verified)).toBe(0);
}

const isTracked = (pid: number) => /^VmFlags:.* uw/m.test(readFileSync(`/proc/${pid}/smaps`, "latin1"));

describe("a chain of deltas", () => {
  test(`holds every page after 1,000 moves of memory between them (seed ${SEED})`, () =>
    withScene(async (scene) => {
      const target = await begin(scene, ["upheaval", SEED, `${TURNS}`, "125"]);
      const core = (turn: number) => join(scene.folder, `core.${turn}`);
      const parents: (string | undefined)[] = [];
      using lineage = new Lineage();
      for (let turn = 1; turn <= TURNS; turn += 1) {
        await target.says(`turn ${turn}\n`);
        const compress = turn % 4 === 3 ? 1 : null;
        const told = await checkpoint(target.pid, { output: core(turn), lineage, mode: "live", compress });
        parents.push(told.parent);
        writeFileSync(join(target.folder, `turn.${turn}`), "");
      }
      expect(parents.slice(0, 3)).toEqual([undefined, core(1), core(2)]);
      await verifies(scene, core(TURNS));
      const whole = join(scene.folder, "whole");
      const merged = await scene.cr(["merge", core(3), "-o", whole]);
      expect(merged.status, describeResult(merged)).toBe(0);
      await endsWell(scene, target, core(TURNS));
      for (const turn of [1, 2, 3]) rmSync(core(turn));
      await endsWell(scene, target, whole);
      expect(readCore(whole).parents).toEqual([]);
    }));

  test("is one instant each of a program that never pauses, and leaves no trace in it", () =>
    withScene(async (scene) => {
      const target = await begin(scene, ["rewriter"]);
      const core = (number: number) => join(scene.folder, `core.${number}`);
      const lineage = new Lineage();
      const parents: (string | undefined)[] = [];
      for (const number of [1, 2, 3]) {
        parents.push((await checkpoint(target.pid, { output: core(number), lineage, mode: "live" })).parent);
      }
      expect(parents).toEqual([undefined, core(1), core(2)]);
      expect(isTracked(target.pid)).toBe(true);
      lineage[Symbol.dispose]();
      expect(isTracked(target.pid)).toBe(false);
      await verifies(scene, core(3));
      await endsWell(scene, target, core(3));
    }));
});

test("a whole core follows where a core of the chain is gone, or another program is there", () =>
  withScene(async (scene) => {
    const target = await begin(scene, ["rewriter"]);
    using lineage = new Lineage();
    const take = async (name: string) => {
      const output = join(scene.folder, name);
      return (await checkpoint(target.pid, { output, lineage, mode: "live", force: true })).parent;
    };
    expect(await take("a")).toBeUndefined();
    expect(await take("b")).toBe(join(scene.folder, "a"));
    // In the place of one that it would build on.
    expect(await take("a")).toBeUndefined();
    rmSync(join(scene.folder, "a"));
    expect(await take("c")).toBeUndefined();
    expect(await take("d")).toBe(join(scene.folder, "c"));
    writeFileSync(join(target.folder, "again"), "");
    await eventually("it has called exec", () => target.output().match(/ready/g)?.length === 2);
    expect(await take("e")).toBeUndefined();
    await verifies(scene, join(scene.folder, "e"));
  }));

test("a checkpoint that fails takes nothing from the next one", () =>
  withScene(async (scene) => {
    const target = await begin(scene, ["rewriter"]);
    using lineage = new Lineage();
    const core = (name: string) => join(scene.folder, name);
    const take = (name: string) => checkpoint(target.pid, { output: core(name), lineage, mode: "live" });
    await take("a");
    for (const fault of ["after-round:error", "after-copy:error", "before-commit:error"]) {
      process.env.CR_FAULT = fault;
      await expect(take("b"), fault).rejects.toThrow(/fault point/);
      delete process.env.CR_FAULT;
    }
    expect((await take("c")).parent).toBe(core("a"));
    await verifies(scene, core("c"));
    // As earlier versions wrote it: in rows, not in tables.
    alterCore(core("c"), core("old"), {});
    const hasRows = (name: string) => readFileSync(core(name)).includes('"inherited":[[');
    expect([hasRows("c"), hasRows("old")]).toEqual([false, true]);
    await verifies(scene, core("old"));
    await endsWell(scene, target, core("old"));
  }));

test("a chain that is broken is refused by name, and nothing of the program runs", () =>
  withScene(async (scene) => {
    const target = await begin(scene, ["upheaval", "1", "1", "10"]);
    const [a, b] = [join(scene.folder, "a"), join(scene.folder, "b")];
    using lineage = new Lineage();
    await checkpoint(target.pid, { output: a, lineage, mode: "live" });
    const { inheritedBytes } = await checkpoint(target.pid, { output: b, lineage, mode: "live" });
    expect(statSync(b).size).toBeLessThan(inheritedBytes ?? 0);
    const told = await scene.cr(["inspect", b]);
    expect(told.stdout).toMatch(
      /^builds on a: [\d.]+ MiB stand there\n {10}whole, .*: cr merge .*\/b -o WHOLE$/m,
    );
    const [run] = readCore(b).state.delta?.inherited ?? [];
    const good = join(scene.folder, "good");
    copyFileSync(a, good);
    const bytes = readFileSync(a);
    bytes[(run?.fileOffset ?? 0) + 9] = 255 - (bytes[(run?.fileOffset ?? 0) + 9] ?? 0);
    writeFileSync(a, bytes);
    lineage[Symbol.dispose]();
    const refused = async (code: string, verbs: readonly (readonly string[])[]) => {
      for (const args of verbs) {
        const result = await scene.cr([...args]);
        expect(result.status, args.join(" ")).not.toBe(0);
        expect(result.stderr, args.join(" ")).toContain(`${code}`);
      }
    };
    await killHard(target);
    const verbs = [
      ["verify", b],
      ["restore", b],
      ["merge", b, "-o", join(scene.folder, "m")],
    ];
    await refused("CORE_CORRUPT", verbs);
    rmSync(a);
    await refused("PARENT_MISSING", verbs);
    copyFileSync(good, a);
    await endsWell(scene, target, b);
  }));

test("--parent leaves what is the same byte by byte to an earlier core of the process, and to no other", () =>
  withScene(async (scene) => {
    const target = await begin(scene, ["upheaval", "3", "2", "10"]);
    const other = await begin(scene, ["upheaval", "3", "1", "1"]);
    const core = (name: string) => join(scene.folder, name);
    const take = async (pid: number, name: string, ...more: string[]) => {
      const result = await scene.cr(["checkpoint", `${pid}`, "-o", core(name), "--json", ...more]);
      expect(result.status, describeResult(result)).toBe(0);
      return jsonOf(result);
    };
    const { bytes } = await take(target.pid, "a");
    writeFileSync(join(target.folder, "turn.1"), "");
    await target.says("turn 2\n");
    expect(await take(target.pid, "b", "--parent", core("a"), "--compress", "zstd")).toMatchObject({
      parent: core("a"),
    });
    const last = await take(target.pid, "c", "--parent", core("b"));
    expect(Number(last.bytes) * 4).toBeLessThan(Number(bytes));
    const refused = async (code: RegExp, pid: number, ...more: string[]) => {
      const result = await scene.cr(["checkpoint", `${pid}`, "-o", core("d"), ...more]);
      expect(result.stderr).toMatch(code);
    };
    await refused(
      /PARENT_OTHER: cannot build on .*a: it is of process \d+ \(upheaval\)/,
      other.pid,
      "--parent",
      core("a"),
    );
    await refused(
      /USAGE: --parent .*a: the new core would take its place/,
      target.pid,
      "--parent",
      core("a"),
      "-o",
      core("a"),
      "--force",
    );
    await refused(/USAGE: --parent with -o -/, target.pid, "--parent", core("a"), "-o", "-");
    await verifies(scene, core("c"));
    await endsWell(scene, target, core("c"));
  }));

describe("cr watch", () => {
  test.each([
    ["writes deltas, and keeps what they build on", [], true],
    ["writes whole cores with --full", ["--full"], false],
  ])("%s", (_title, flags, isDelta) =>
    withScene(async (scene) => {
      const target = await begin(scene, ["upheaval", "2", "1", "10"]);
      const env = { CR_HOME: join(scene.folder, "home") };
      const every = ["--every", "100ms", "--keep-last", "2"];
      const args = ["watch", `${target.pid}`, ...every, "--name", "w", "--json"];
      const watching = scene.startCr([...args, ...flags], { env });
      const folder = join(env.CR_HOME, "w");
      const last = join(folder, `core.${target.pid}.000005`);
      await eventually("five were taken", () => statSync(last, { throwIfNoEntry: false }) !== undefined);
      process.kill(watching.pid, "SIGINT");
      const { status, stdout, stderr } = await watching.done;
      expect(status, stderr).toBe(0);
      const events = stdout
        .trim()
        .split("\n")
        .map((line) => JSON.parse(line));
      const taken = events.filter(({ event }) => event === "generation");
      expect(taken[1].parent).toBe(isDelta ? taken[0].core : undefined);
      const verified = await scene.cr(["verify", "w"], { env });
      expect(verified.status, describeResult(verified)).toBe(0);
      expect(isTracked(target.pid)).toBe(false);
      await endsWell(scene, target, events.at(-1).lastCore);
    }),
  );
});
