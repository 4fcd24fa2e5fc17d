/** `cr doctor` as a user runs it: here everything works; elsewhere it says what to do. */
import { chmodSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { jsonOf } from "../harness/cr.js";
import { withScene } from "../harness/scene.js";

interface Check {
  readonly name: string;
  readonly state: "ok" | "warn" | "no";
  readonly next?: string;
}

test("on this machine, as root, the basics work", () =>
  withScene(async (scene) => {
    const result = await scene.cr(["doctor", "--json"]);
    expect(result.status, result.stderr).toBe(0);
    const { ok, checks } = jsonOf(result) as unknown as { ok: boolean; checks: readonly Check[] };
    expect(ok).toBe(true);
    expect(checks.map((check) => check.name)).toEqual(
      expect.arrayContaining([
        "native library",
        "kernel",
        "tracing",
        "same pid",
        "page scan",
        "cpusets",
        "gdb",
      ]),
    );
    for (const check of checks) expect(check.next === undefined, check.name).toBe(check.state === "ok");
  }));

test("the table shows what a missing ability buys and the next command", () =>
  withScene(async (scene) => {
    const result = await scene.cr(["doctor"], { asNobody: true });
    expect(result.status, result.stderr).toBe(0);
    expect(result.stdout).toMatch(/^ok {4}native library {3}libcr\.so loads$/m);
    expect(result.stdout).toMatch(
      /^warn {2}same pid .*CAP_CHECKPOINT_RESTORE missing\n +buys: restore under the recorded pid\n +next: sudo cr restore/m,
    );
  }));

test("where nothing can be traced it fails and says why", () =>
  withScene(async (scene) => {
    const folder = join(scene.folder, "proc/sys/kernel/yama");
    mkdirSync(folder, { recursive: true });
    writeFileSync(join(folder, "ptrace_scope"), "3\n");
    chmodSync(scene.folder, 0o755);
    const result = await scene.cr(["doctor"], { env: { CR_SYSFS_ROOT: scene.folder } });
    expect(result.status).toBe(1);
    expect(result.stdout).toMatch(
      /^no {4}tracing .*ptrace_scope 3\n.*\n +next: boot without kernel\.yama\.ptrace_scope=3$/m,
    );
  }));
