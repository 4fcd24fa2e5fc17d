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
    expect(result.stdout).toMatch(/^ok {4}native library +libcr\.so loads$/m);
    expect(result.stdout).toMatch(
      /^warn {2}same pid .*CAP_CHECKPOINT_RESTORE missing\n +buys: restore under the recorded pid\n +next: sudo setpriv --reuid 65534 --regid 65534 --init-groups --inh-caps \+checkpoint_restore --ambient-caps \+checkpoint_restore cr \.\.\.$/m,
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

test("the command that it prints lends cr the capability, and nothing else", () =>
  withScene(async (scene) => {
    const before = jsonOf(await scene.cr(["doctor", "--json"], { asNobody: true }));
    for (const name of ["same pid", "tracing others", "raising priority"]) {
      const { next = "" } = checkOf(before, name);
      const under = next.split(" ").slice(1, -2);
      const after = jsonOf(await scene.cr(["doctor", "--json"], { under }));
      expect(checkOf(after, name).state, next).toBe("ok");
      expect(checkOf(after, "suspending filters").state).toBe("warn");
    }
  }));

test("settings that close something are named with the command that opens it", () =>
  withScene(async (scene) => {
    const put = (path: string, text: string) => {
      mkdirSync(join(scene.folder, "proc/sys", path, ".."), { recursive: true });
      writeFileSync(join(scene.folder, "proc/sys", path), text);
    };
    put("user/max_user_namespaces", "100\n");
    put("kernel/apparmor_restrict_unprivileged_userns", "1\n");
    put("vm/unprivileged_userfaultfd", "0\n");
    put("kernel/pid_max", "32768\n");
    const result = await scene.cr(["doctor", "--json"], {
      asNobody: true,
      env: { CR_SYSFS_ROOT: scene.folder },
    });
    const told = jsonOf(result);
    const next = (name: string) => checkOf(told, name).next;
    expect(next("user namespaces")).toBe("sudo sysctl kernel.apparmor_restrict_unprivileged_userns=0");
    expect(next("page faults")).toBe("sudo sysctl vm.unprivileged_userfaultfd=1");
    expect(next("pids")).toBe("sudo sysctl kernel.pid_max=4194304");
  }));

function checkOf(told: Record<string, unknown>, name: string): Check {
  const { checks } = told as unknown as { checks: readonly Check[] };
  const check = checks.find((one) => one.name === name);
  if (check === undefined) throw new Error(`no check ${name}`);
  return check;
}
