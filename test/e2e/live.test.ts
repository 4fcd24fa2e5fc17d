/**
 * Copying while the program runs, and from a frozen copy: what it writes meanwhile, by whatever way, is in the core as
 * it was in one instant; nothing of the copying is left in it; what cannot be had that way is said.
 */
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { type CrResult, describeResult } from "../harness/cr.js";
import { checkpoint, type Restored, restore, running } from "../harness/cycle.js";
import { eventually } from "../harness/eventually.js";
import { type Identity, killHard, runsFreely, statusLine } from "../harness/process.js";
import { type Scene, withScene } from "../harness/scene.js";
import { fixture, type Target } from "../harness/target.js";
import { checkpointTree, killTree, membersOf, restoreTree } from "../harness/tree.js";

async function begin(scene: Scene, argv: readonly string[], asNobody = false): Promise<Target> {
  const [name = "", ...rest] = argv;
  const target = await scene.start([fixture(name), "FOLDER", ...rest], { asNobody });
  await target.says("ready");
  return target;
}

/** What would be left of the copying: threads, children, tracked mappings. */
function traces({ pid }: Identity): unknown {
  const tids = readdirSync(`/proc/${pid}/task`);
  return {
    threads: tids.length,
    children: tids.map((tid) => readFileSync(`/proc/${pid}/task/${tid}/children`, "latin1")).join(""),
    tracked: readFileSync(`/proc/${pid}/smaps`, "latin1").match(/^VmFlags:.* uw/gm),
    descriptors: readdirSync(`/proc/${pid}/fd`).length,
    blocked: statusLine(pid, "SigBlk"),
  };
}

const WAYS = ["live", "fork", "stop"].flatMap((mode) => [
  [mode, "rewriter"] as const,
  [mode, "rewriter", "fast"] as const,
]);

describe.each(WAYS.map((way) => [way.join(" "), way] as const))("%s", (_title, [mode, ...argv]) => {
  test("is one instant of a program that rewrites its memory, and leaves no trace in it", () =>
    withScene(async (scene) => {
      const target = await begin(scene, argv);
      const core = join(scene.folder, "core");
      const before = traces(target);
      const told = await checkpoint(scene, { target, core, extra: ["--mode", mode] });
      expect(told).toMatchObject({ mode, processes: 1 });
      expect(Object.keys(told.phases as object)).toEqual(["seize", "scan", "copy", "state", "resume"]);
      expect(traces(target)).toEqual(before);
      const verified = await scene.cr(["verify", core]);
      expect(verified.status, describeResult(verified)).toBe(0);
      const restored = await restore(scene, { target, core });
      await running(restored);
      target.go();
      const end = await restored.cr.done;
      expect(end.status, `${describeResult(end)}\nit said: ${target.output()}`).toBe(0);
    }));
});

test("a large program is copied piece by piece, and goes on", () =>
  withScene(async (scene) => {
    const target = await begin(scene, ["rewriter", "large"]);
    const core = join(scene.folder, "core");
    const before = traces(target);
    const told = await checkpoint(scene, { target, core, extra: ["--mode", "live"] });
    expect(told.scanMs).toBeGreaterThan(0);
    expect(traces(target)).toEqual(before);
    const restored = await restore(scene, { target, core });
    await running(restored);
    target.go();
    const end = await restored.cr.done;
    expect(end.status, `${describeResult(end)}\nit said: ${target.output()}`).toBe(0);
  }));

test("goes on after three checkpoints while it runs, kills and restores", () =>
  withScene(async (scene) => {
    const target = await begin(scene, ["rewriter"]);
    let life: Identity = target;
    let restored: Restored | undefined;
    for (const cycle of [1, 2, 3]) {
      const core = join(scene.folder, `core.${cycle}`);
      const told = await checkpoint(scene, { target: life, core });
      expect(["live", "fork"]).toContain(told.mode);
      restored = await restore(scene, { target: life, core });
      life = await running(restored);
    }
    target.go();
    const end = await restored?.cr.done;
    expect(end?.status, `${end && describeResult(end)}\nit said: ${target.output()}`).toBe(0);
  }));

test.each(["live", "fork"])("%s works without root", (mode) =>
  withScene(async (scene) => {
    const target = await begin(scene, ["rewriter"], true);
    const core = join(target.folder, "core");
    const told = await checkpoint(scene, { target, core, asNobody: true, extra: ["--mode", mode] });
    expect(told.mode).toBe(mode);
    target.go();
    expect(await target.ended(), target.output()).toBe("exited 0");
    expect((await scene.cr(["verify", core])).status).toBe(0);
  }),
);

test("a program that reads with O_DIRECT is not copied while it runs", () =>
  withScene(async (scene) => {
    const target = await begin(scene, ["direct"]);
    const core = join(scene.folder, "core");
    const told = await checkpoint(scene, { target, core });
    expect(["fork", "stop"]).toContain(told.mode);
    const refused = await scene.cr([
      "checkpoint",
      `${target.pid}`,
      "-o",
      join(scene.folder, "no"),
      "--mode",
      "live",
    ]);
    expect(refused.stderr).toContain(
      `MODE_UNAVAILABLE: cannot checkpoint process ${target.pid} with --mode live: it has a file open with O_DIRECT`,
    );
    const restored = await restore(scene, { target, core });
    await running(restored);
    target.go();
    expect((await restored.cr.done).status, target.output()).toBe(0);
  }));

test("a stop that would be longer than it may be is refused, and the program was not touched", () =>
  withScene(async (scene) => {
    const target = await begin(scene, ["rewriter"]);
    const args = [
      "checkpoint",
      `${target.pid}`,
      "-o",
      join(scene.folder, "core"),
      "--mode",
      "stop",
      "--max-stop",
      "1ms",
    ];
    const refused = await scene.cr(args);
    expect(refused.status).toBe(1);
    expect(refused.stderr).toMatch(
      /STOP_TOO_LONG: cannot checkpoint process \d+: it would stand still for about \d+ ms \(stop\), allowed are 1 ms/,
    );
    expect(runsFreely(target)).toBe(true);
    const kept = await checkpoint(scene, { target, core: args[3] ?? "", extra: ["--max-stop", "1m"] });
    expect(kept.stopMs).toBeLessThan(60_000);
  }));

test.each(["live", "fork"])("%s: cr killed in the middle leaves nothing in the program", (mode) =>
  withScene(async (scene) => {
    const target = await begin(scene, ["rewriter", "fast"]);
    const before = traces(target);
    for (const fault of ["after-round", "after-copy"]) {
      const args = [
        "checkpoint",
        `${target.pid}`,
        "-o",
        join(scene.folder, "core"),
        "--force",
        "--mode",
        mode,
      ];
      const cr = scene.startCr(args, { env: { CR_FAULT: fault } });
      const end = await cr.done;
      expect(end.signal === "SIGKILL" || end.status === 0, describeResult(end)).toBe(true);
      await eventually("it runs on", () => runsFreely(target));
      await eventually("nothing is left", () => JSON.stringify(traces(target)) === JSON.stringify(before));
    }
    target.go();
    expect(await target.ended(), target.output()).toBe("exited 0");
  }),
);

/** Holds cr after its first round, lets `act` happen to the program, and lets cr go on. */
async function afterARound(scene: Scene, target: Target, act: () => Promise<void>): Promise<CrResult> {
  const args = ["checkpoint", `${target.pid}`, "-o", join(scene.folder, "core"), "--mode", "live"];
  const cr = scene.startCr(args, { env: { CR_FAULT: "after-round:hold" } });
  await eventually("cr is held", () => statusLine(cr.pid, "State").startsWith("T"));
  await act();
  // It is held after every round.
  const timer = setInterval(() => isThere(cr.pid) && process.kill(cr.pid, "SIGCONT"), 10);
  const end = await cr.done;
  clearInterval(timer);
  return end;
}

function isThere(pid: number): boolean {
  return existsSync(`/proc/${pid}`);
}

test("a program that ends between two rounds is no core", () =>
  withScene(async (scene) => {
    const target = await begin(scene, ["rewriter", "fast"]);
    const end = await afterARound(scene, target, () => killHard(target));
    expect(end.stderr).toMatch(/^cr: (TARGET_CHANGED|NO_SUCH_PROCESS): cannot /);
    expect(readdirSync(scene.folder)).not.toContain("core");
  }));

test("a program that calls exec between two rounds is no core", () =>
  withScene(async (scene) => {
    const target = await begin(scene, ["rewriter"]);
    const end = await afterARound(scene, target, async () => {
      writeFileSync(join(target.folder, "again"), "");
      await target.says("ready\nready\n");
    });
    expect(end.stderr).toMatch(/^cr: TARGET_CHANGED: cannot checkpoint process \d+: it called exec while/);
    expect(readdirSync(scene.folder)).not.toContain("core");
    target.go();
    expect(await target.ended(), target.output()).toBe("exited 0");
  }));

/** A shell with two programs that rewrite their memory. */
async function beginTree(scene: Scene): Promise<Target> {
  const one = `${fixture("rewriter")} "$0"`;
  const script = `${one} & first=$!; ${one} & second=$!; wait $first && wait $second`;
  const target = await scene.start(["/bin/sh", "-c", script, "FOLDER"]);
  await target.says("ready\nready\n");
  return target;
}

test("the members of a tree are copied while they run, and stop together", () =>
  withScene(async (scene) => {
    const target = await beginTree(scene);
    const bundle = join(scene.folder, "bundle");
    const refused = await scene.cr(["checkpoint", `${target.pid}`, "-o", bundle, "--mode", "fork"]);
    expect(refused.stderr).toMatch(
      /MODE_UNAVAILABLE: cannot checkpoint process \d+ with --mode fork: it belongs to a process tree/,
    );
    expect(await checkpointTree(scene, { target, bundle })).toMatchObject({ mode: "live", processes: 3 });
    await killTree(scene, membersOf(bundle));
    const restored = await restoreTree(scene, { target, bundle });
    target.go();
    const end = await restored.cr.done;
    expect(end.status, `${describeResult(end)}\nit said: ${target.output()}`).toBe(0);
  }));

test("a member of a tree that calls exec between two rounds is copied in the stop", () =>
  withScene(async (scene) => {
    const target = await beginTree(scene);
    const end = await afterARound(scene, target, async () => {
      writeFileSync(join(target.folder, "again"), "");
      await target.says("ready\nready\nready\n");
    });
    expect(end.status, describeResult(end)).toBe(0);
    const core = join(scene.folder, "core");
    const verified = await scene.cr(["verify", core]);
    expect(verified.status, describeResult(verified)).toBe(0);
    await killTree(scene, membersOf(core));
    const restored = await restoreTree(scene, { target, bundle: core });
    target.go();
    const done = await restored.cr.done;
    expect(done.status, `${describeResult(done)}\nit said: ${target.output()}`).toBe(0);
  }));
