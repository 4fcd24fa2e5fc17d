/** --threads, --limit and --max-stop of checkpoint and watch: what a checkpoint may cost the program that it is of. */
import { readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { describeResult, jsonOf } from "../harness/cr.js";
import { checkpoint } from "../harness/cycle.js";
import { eventually } from "../harness/eventually.js";
import { killHard, runsFreely, statOf } from "../harness/process.js";
import { type Scene, withScene } from "../harness/scene.js";
import { fixture, type Target } from "../harness/target.js";

const CR = fileURLToPath(new URL("../../bin/cr", import.meta.url));
const LIMIT_BYTES = 48 << 20;
/** Far above what a stop of these programs takes on any machine. */
const STOP_MS = 2_000;

async function rewriter(scene: Scene): Promise<Target> {
  const target = await scene.start([fixture("rewriter"), "FOLDER"]);
  await target.says("ready");
  return target;
}

test("--limit makes the copy slow, not the stop, and the core is as good", () =>
  withScene(async (scene) => {
    const target = await rewriter(scene);
    const core = join(scene.folder, "core");
    const extra = ["--limit", "48M", "--threads", "1"];
    const told = await checkpoint(scene, { target, core, extra });
    expect(told.totalMs).toBeGreaterThan(((told.bytes as number) / LIMIT_BYTES) * 900);
    expect(told.stopMs).toBeLessThan((told.totalMs as number) / 2);
    const verified = await scene.cr(["verify", core]);
    expect(verified.status, describeResult(verified)).toBe(0);
    target.go();
    expect(await target.ended(), target.output()).toBe("exited 0");
  }));

test("a stop that turns out longer than --max-stop is ended, and the last good core stands", () =>
  withScene(async (scene) => {
    const target = await rewriter(scene);
    const core = join(scene.folder, "core");
    await checkpoint(scene, { target, core, extra: ["--max-stop", `${STOP_MS}ms`] });
    const before = readFileSync(core);
    const args = [
      "checkpoint",
      `${target.pid}`,
      "-o",
      core,
      "--force",
      "--max-stop",
      `${STOP_MS}ms`,
      "--json",
    ];
    const cr = scene.startCr(args, { env: { CR_FAULT: "after-remote:hold" } });
    await eventually("cr holds the program", () => statOf(cr.pid)?.state === "T");
    expect(statOf(target.pid)?.state).toBe("t");
    await sleep(STOP_MS + 100);
    process.kill(cr.pid, "SIGCONT");
    const refused = await cr.done;
    expect(refused.status, describeResult(refused)).toBe(1);
    const { error } = jsonOf(refused) as { error: { code: string; message: string } };
    expect(error.code).toBe("STOP_TOO_LONG");
    expect(error.message).toMatch(
      /it has stood still for \d+ ms and would for about \d+ ms, allowed are 2000 ms/,
    );
    expect(runsFreely(target)).toBe(true);
    expect(readFileSync(core).equals(before)).toBe(true);
    expect(readdirSync(scene.folder).filter((name) => name.includes("core"))).toEqual(["core"]);
    target.go();
    expect(await target.ended(), target.output()).toBe("exited 0");
  }));

test("watch takes them, and goes on after a stop that would have been too long", () =>
  withScene(async (scene) => {
    const target = await scene.start([fixture("counter"), "FOLDER", "100000", "10000"]);
    await target.says("\n10\n");
    const plain = join(scene.folder, "plain");
    await checkpoint(scene, { target, core: plain });
    const home = join(scene.folder, "home");
    const watch = (...extra: string[]) =>
      scene.start([
        ...[
          "env",
          `CR_HOME=${home}`,
          CR,
          "watch",
          `${target.pid}`,
          "--every",
          "200ms",
          "--name",
          "job",
          "--json",
        ],
        ...extra,
      ]);
    const cores = () => readdirSync(join(home, "job")).filter((name) => /^core\.\d+\.\d+$/.test(name));
    const taking = await watch("--compress", "zstd:1", "--mode", "stop", "--limit", "200M", "--threads", "1");
    await taking.says('"event":"generation"');
    process.kill(taking.pid, "SIGTERM");
    await taking.says('"event":"ended"');
    const taken = cores();
    expect(statSync(join(home, "job", taken[0] ?? "")).size).toBeLessThan(statSync(plain).size / 2);
    const failing = await watch("--max-stop", "1ms");
    await failing.says("STOP_TOO_LONG");
    expect(runsFreely(target)).toBe(true);
    await killHard(target);
    await failing.says('"event":"ended"');
    expect(cores()).toEqual(taken);
  }));
