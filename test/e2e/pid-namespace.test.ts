/** `cr restore --pid ns`: programs of ordinary users under their own pids, and of root where a pid is taken. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { type CrResult, describeResult, jsonOf } from "../harness/cr.js";
import { checkpoint } from "../harness/cycle.js";
import { eventually } from "../harness/eventually.js";
import { findByEnvironment, type Identity, killHard, statusLine } from "../harness/process.js";
import { expectRefusal, FAILED_FOREGROUND } from "../harness/refusal.js";
import { type Scene, withScene } from "../harness/scene.js";
import { fixture, type Target } from "../harness/target.js";

const asNobody = true;

interface Life {
  readonly program: Identity;
  readonly told: Record<string, unknown>;
}

/** Restores as nobody and leaves it running. */
async function restoreDetached(scene: Scene, core: string, extra: readonly string[] = []): Promise<Life> {
  const result = await scene.cr(["restore", core, "--detach", "--json", ...extra], { asNobody });
  expect(result.status, describeResult(result)).toBe(0);
  const told = jsonOf(result);
  return { program: scene.adopt(Number(told.pid)), told };
}

async function begin(scene: Scene, argv: readonly string[]): Promise<Target> {
  const [name = "", ...rest] = argv;
  const target = await scene.start([fixture(name), "FOLDER", ...rest], { asNobody });
  await target.says("ready");
  return target;
}

/** All that is in the namespace of a process is gone with it. */
async function isGone({ pid }: Identity): Promise<void> {
  await eventually("the program has ended", () => !existsSync(`/proc/${pid}`));
}

describe("as nobody", () => {
  test("a program lives on under its pid through three restores, with its own /proc", () =>
    withScene(async (scene) => {
      const target = await begin(scene, ["threads", "2"]);
      let life: Identity = target;
      for (const cycle of [1, 2, 3]) {
        const core = join(target.folder, `core.${cycle}`);
        const saved = await checkpoint(scene, { target: life, core, asNobody });
        expect(saved.innerPid).toBe(cycle === 1 ? undefined : target.pid);
        await killHard(life);
        const { program, told } = await restoreDetached(scene, core);
        expect(told).toMatchObject({ pid: program.pid, innerPid: target.pid });
        expect(JSON.stringify(told.softErrors)).toContain("pid namespace of its own");
        expect(statusLine(program.pid, "NSpid")).toBe(`${program.pid}\t${target.pid}`);
        expect(existsSync(`/proc/${program.pid}/root/proc/${target.pid}/status`)).toBe(true);
        life = program;
      }
      target.go();
      await isGone(life);
      expect(target.output()).toMatch(/ok\n$/);
    }));

  test("a program in one is copied while it runs", () =>
    withScene(async (scene) => {
      const target = await begin(scene, ["rewriter"]);
      const core = join(target.folder, "core");
      await checkpoint(scene, { target, core, asNobody });
      await killHard(target);
      const { program } = await restoreDetached(scene, core);
      const extra = ["--mode", "live"];
      const told = await checkpoint(scene, { target: program, core: `${core}.2`, asNobody, extra });
      expect(told).toMatchObject({ mode: "live", innerPid: target.pid });
      target.go();
      await isGone(program);
      expect(target.output()).toMatch(/ok\n$/);
    }));

  test("the pid of the host is the last line of --detach", () =>
    withScene(async (scene) => {
      const target = await begin(scene, ["calls"]);
      const core = join(target.folder, "core");
      await checkpoint(scene, { target, core, asNobody });
      await killHard(target);
      const result = await scene.cr(["restore", core, "--detach"], { asNobody });
      expect(result.status, describeResult(result)).toBe(0);
      expect(result.stderr).toMatch(/it is process \d+ for itself and process \d+ here/);
      const program = scene.adopt(Number(result.stdout.trim()));
      expect(statusLine(program.pid, "NSpid")).toMatch(new RegExp(`\\t${target.pid}$`));
    }));

  test("in the foreground cr passes signals on and ends as the program ends", () =>
    withScene(async (scene) => {
      const target = await scene.start(["/usr/bin/python3", "-c", SIGNALLED], { asNobody });
      await target.says("ready");
      const core = join(target.folder, "core");
      await checkpoint(scene, { target, core, asNobody });
      await killHard(target);
      const cr = scene.startCr(["restore", core], { asNobody });
      const cut = target.output().length;
      await eventually("the program goes on", () => target.output().length > cut + 10);
      process.kill(cr.pid, "SIGUSR1");
      const end = await cr.done;
      expect(end.status, describeResult(end)).toBe(7);
      expect(target.output()).toMatch(/signal\n$/);
    }));

  test.each([
    ["the cr inside", { CR_FAULT: "restore-after-rebuild" }, "RESTORE_FAILED"],
    ["the restore", { CR_FAULT: "restore-after-rebuild:error" }, "INTERNAL"],
  ] as const)("when %s fails nothing is left", (_what, env, code) =>
    withScene(async (scene) => {
      const target = await begin(scene, ["calls"]);
      const core = join(target.folder, "core");
      await checkpoint(scene, { target, core, asNobody });
      await killHard(target);
      const result = await scene.cr(["restore", core], { asNobody, env });
      expectRefusal(result, { codes: [code], status: FAILED_FOREGROUND });
      await eventually("nothing is left", () => commandsOf(scene).length === 0);
    }),
  );

  test("when the cr outside is killed nothing is left behind", () =>
    withScene(async (scene) => {
      const target = await begin(scene, ["calls"]);
      const core = join(target.folder, "core");
      await checkpoint(scene, { target, core, asNobody });
      await killHard(target);
      // Should it have been restored by then, it ends at once.
      target.go();
      const cr = scene.startCr(["restore", core], { asNobody });
      await eventually("process 1 is there", () =>
        commandsOf(scene).some((name) => name.includes("cr-init")),
      );
      process.kill(cr.pid, "SIGKILL");
      await eventually("nothing is left", () => commandsOf(scene).length === 0);
    }));

  test("--pid keep is refused where pids cannot be chosen", () =>
    withScene(async (scene) => {
      const target = await begin(scene, ["calls"]);
      const core = join(target.folder, "core");
      await checkpoint(scene, { target, core, asNobody });
      const result = await scene.cr(["restore", core, "--pid", "keep"], { asNobody });
      expectRefusal(result, { codes: ["NOT_PERMITTED"], status: FAILED_FOREGROUND, names: /may not choose/ });
    }));

  test("closed user namespaces are named with the setting that opens them", () =>
    withScene(async (scene) => {
      const target = await begin(scene, ["calls"]);
      const core = join(target.folder, "core");
      await checkpoint(scene, { target, core, asNobody });
      const env = { CR_SYSFS_ROOT: scene.folder };
      const result = await scene.cr(["restore", core], { asNobody, env });
      const names = /may not choose pids here, .*user\.max_user_namespaces is 0/;
      expectRefusal(result, { codes: ["NOT_PERMITTED"], status: FAILED_FOREGROUND, names });
      expect(result.stderr).toMatch(/next: sudo sysctl user\.max_user_namespaces=10000, or add --pid new/);
    }));
});

function commandsOf(scene: Scene): string[] {
  return findByEnvironment(`RECORE_SCENE=${scene.folder}`).map(({ command }) => command);
}

/** Ticks until SIGUSR1, then exits with 7. */
const SIGNALLED = `
import signal, sys, time
def on(number, frame):
    print("signal", flush=True)
    sys.exit(7)
signal.signal(signal.SIGUSR1, on)
print("ready", flush=True)
while True:
    time.sleep(0.05)
    print("tick", flush=True)
`;

test("root restores into a pid namespace while the pid is taken", () =>
  withScene(async (scene) => {
    const target = await scene.start([fixture("calls"), "FOLDER"]);
    await target.says("ready");
    const core = join(scene.folder, "core");
    await checkpoint(scene, { target, core });
    const cr = scene.startCr(["restore", core, "--pid", "ns", "--json"]);
    target.go();
    const end: CrResult = await cr.done;
    expect(end.status, describeResult(end)).toBe(0);
    expect(JSON.parse(end.stderr.trim().split("\n").at(-1) ?? "")).toMatchObject({ innerPid: target.pid });
    expect(await target.ended()).toBe("exited 0");
  }));
