/** Cores that gdb's gcore and the kernel wrote: restored as far as they carry the state, and what they lack is said. */
import { execFile } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { beforeAll, describe, expect, test } from "vitest";
import { describeResult } from "../harness/cr.js";
import { eventually } from "../harness/eventually.js";
import { killHard, statOf } from "../harness/process.js";
import { type Scene, withScene } from "../harness/scene.js";
import { fixture, type Target } from "../harness/target.js";

const run = promisify(execFile);
const COUNT = 120;
const PYTHON = `
import time
print("ready", flush=True)
for number in range(${COUNT}):
    print(number, flush=True)
    time.sleep(0.04)
print("ok")
`;
const PROGRAMS: Readonly<Record<string, readonly string[]>> = {
  counter: [fixture("counter"), "FOLDER", String(COUNT), "40000"],
  "counter.static": [fixture("counter.static"), "FOLDER", String(COUNT), "40000"],
  "counter.muslstatic": [fixture("counter.muslstatic"), "FOLDER", String(COUNT), "40000"],
  python3: ["/usr/bin/python3.11", "-c", PYTHON],
};

beforeAll(() => {
  const pattern = readFileSync("/proc/sys/kernel/core_pattern", "utf8").trim();
  if (pattern.startsWith("|") || pattern.includes("/")) {
    throw new Error(
      `these tests need cores in the working folder: sysctl -w kernel.core_pattern=core (is '${pattern}')`,
    );
  }
});

/** Starts the program in a folder of its own, where the kernel will put its core. */
async function begin(scene: Scene, argv: readonly string[]): Promise<{ target: Target; cwd: string }> {
  const cwd = mkdtempSync(join(scene.folder, "cwd"));
  const target = await scene.start(["prlimit", "--core=unlimited", ...argv], { cwd });
  return { target, cwd };
}

async function byGcore(scene: Scene, { target }: { target: Target }): Promise<string> {
  const core = join(scene.folder, "gcore");
  await run("gdb", ["-nx", "-batch", "-p", String(target.pid), "-ex", `gcore ${core}`]);
  await killHard(target);
  return core;
}

async function byKernel(_scene: Scene, { target, cwd }: { target: Target; cwd: string }): Promise<string> {
  if (statOf(target.pid) !== null) process.kill(target.pid, "SIGQUIT");
  expect(await target.ended()).toMatch(/^killed/);
  const name = readdirSync(cwd).find((found) => found.startsWith("core"));
  if (name === undefined) throw new Error("the kernel wrote no core");
  return join(cwd, name);
}

const WRITERS = { gcore: byGcore, "the kernel": byKernel };
const CASES = Object.keys(WRITERS).flatMap((writer) =>
  Object.keys(PROGRAMS).map((program) => ({ writer: writer as keyof typeof WRITERS, program })),
);

describe("a core", () => {
  test.concurrent.each(CASES)("of $program that $writer wrote is started again", ({ writer, program }) =>
    withScene(async (scene) => {
      const begun = await begin(scene, PROGRAMS[program] ?? []);
      await begun.target.says("\n30\n");
      const core = await WRITERS[writer](scene, begun);
      const end = await scene.cr(["restore", core]);
      expect(end.status, describeResult(end)).toBe(0);
      // Such cores know no descriptors: what the program prints goes to the standard output of cr.
      expect(end.stderr).toMatch(/descriptor/);
      const from = Number(end.stdout.split("\n")[0]);
      expect(from).toBeGreaterThan(30);
      const rest = Array.from({ length: COUNT - from }, (_, at) => `${from + at}\n`).join("");
      expect(end.stdout).toBe(`${rest}ok\n`);
    }),
  );
});

test("a crashed program's core becomes a live process in which gdb calls functions", () =>
  withScene(async (scene) => {
    const begun = await begin(scene, [fixture("crash"), "FOLDER"]);
    await begun.target.says("ready");
    begun.target.go();
    expect(await begun.target.ended()).toBe("killed 11");
    const core = await byKernel(scene, begun);
    // Its limits are not in the core: the one for open files, which cr raises for itself, is the caller's.
    const under = ["sh", "-c", 'ulimit -Sn 600; "$0" "$@"; exit $?'];
    const result = await scene.cr(["restore", "--stopped", "--detach", core], { under });
    expect(result.status, describeResult(result)).toBe(0);
    const life = scene.adopt(Number(result.stdout.trim().split("\n").at(-1)));
    expect(life.pid).toBe(begun.target.pid);
    expect(readFileSync(`/proc/${life.pid}/limits`, "utf8")).toMatch(/^Max open files +600 /m);
    await eventually("it is stopped", () => statOf(life.pid)?.state === "T");
    // gdb meets the SIGSTOP of every process that was stopped when it attached.
    const commands = ["handle SIGSTOP nostop noprint nopass", "bt", "call add(2, 3)"];
    const attach = ["-nx", "-batch", "-p", String(life.pid)];
    const { stdout } = await run("gdb", [...attach, ...commands.flatMap((command) => ["-ex", command])]);
    expect(stdout).toMatch(/dereference \(pointer=0x0\)/);
    expect(stdout).toMatch(/\$1 = 5/);
  }));
