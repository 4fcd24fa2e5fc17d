/** What the machine allows: on this one, and on settings shown by files under CR_SYSFS_ROOT. */
import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { hostAbilities } from "../../src/host/abilities.js";
import { bootId, CLOCK_TICKS_PER_SECOND } from "../../src/host/boot.js";
import { CAPABILITY_NAMES, capabilityNames, hasCapability } from "../../src/host/capabilities.js";
import { cgroupMounts, findCpusetHierarchy } from "../../src/host/cgroup.js";
import { cpuInventory } from "../../src/host/cpu.js";
import { kernelHas, requireKernel } from "../../src/host/kernel.js";
import { explainTraceDenied, yamaScope } from "../../src/host/ptrace-scope.js";
import { userName } from "../../src/host/user.js";

let root: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "recore-sysfs-"));
});
afterEach(() => {
  vi.unstubAllEnvs();
  rmSync(root, { recursive: true });
});

/** Shows a file's content in place of this machine's. */
function show(path: string, text: string): void {
  vi.stubEnv("CR_SYSFS_ROOT", root);
  mkdirSync(dirname(join(root, path)), { recursive: true });
  writeFileSync(join(root, path), `${text}\n`);
}

function ability(name: string) {
  return hostAbilities().find((candidate) => candidate.name === name);
}

describe("kernel", () => {
  test("features go by version", () => {
    expect(kernelHas("pagemapScan", "6.6.9")).toBe(false);
    expect(kernelHas("pagemapScan", "6.7-rc1")).toBe(true);
    expect(kernelHas("clone3SetTid", "5.10.0-28-amd64")).toBe(true);
  });

  test("one too old is refused with what is required", () => {
    requireKernel();
    expect(() => requireKernel("4.19.0")).toThrow(
      expect.objectContaining({
        code: "KERNEL_TOO_OLD",
        message: "this kernel is Linux 4.19.0: 5.13 or later is required",
      }),
    );
  });

  test("boot and ticks are the system's", () => {
    expect(bootId()).toBe(readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim());
    expect(String(CLOCK_TICKS_PER_SECOND)).toBe(
      execFileSync("getconf", ["CLK_TCK"], { encoding: "utf8" }).trim(),
    );
  });
});

describe("capabilities", () => {
  test("names stand at their bits", () => {
    expect(capabilityNames(0n)).toEqual([]);
    expect(capabilityNames((1n << 19n) | (1n << 40n))).toEqual(["CAP_SYS_PTRACE", "CAP_CHECKPOINT_RESTORE"]);
    expect(capabilityNames(1n << 63n)).toEqual(["CAP_63"]);
    expect(CAPABILITY_NAMES).toHaveLength(41);
  });

  test("of the test itself are those of the kernel", () => {
    const mask = BigInt(`0x${/^CapEff:\s+(\w+)$/m.exec(readFileSync("/proc/self/status", "utf8"))?.[1]}`);
    expect(hasCapability("CAP_SYS_PTRACE")).toBe(capabilityNames(mask).includes("CAP_SYS_PTRACE"));
  });
});

describe("tracing", () => {
  test("Yama's scope is read, and absent without the file", () => {
    show("/proc/sys/kernel/other", "1");
    expect(yamaScope()).toBeUndefined();
    show("/proc/sys/kernel/yama/ptrace_scope", "1");
    expect(yamaScope()).toBe(1);
  });

  test("a machine that forbids tracing says so, whoever asks", () => {
    show("/proc/sys/kernel/yama/ptrace_scope", "3");
    expect(explainTraceDenied(1)).toMatch(/^kernel\.yama\.ptrace_scope is 3/);
    expect(ability("tracing")).toMatchObject({ state: "no" });
  });

  test("with CAP_SYS_PTRACE only a security module is left as the reason", () => {
    expect(explainTraceDenied(1)).toContain("security module");
  });
});

describe("an unprivileged user", () => {
  /** Runs an expression over the built host modules as nobody. */
  function asNobody(expression: string): unknown {
    const script = `
      const { explainTraceDenied } = await import(${JSON.stringify(new URL("../../dist/host/ptrace-scope.js", import.meta.url).href)});
      const { hostAbilities } = await import(${JSON.stringify(new URL("../../dist/host/abilities.js", import.meta.url).href)});
      console.log(JSON.stringify(${expression}));`;
    const output = execFileSync(process.execPath, ["--input-type=module", "-e", script], {
      uid: 65534,
      gid: 65534,
      cwd: "/",
      encoding: "utf8",
    });
    return JSON.parse(output);
  }

  test("is told whose a process is", () => {
    expect(asNobody(`explainTraceDenied(${process.pid})`)).toBe(
      `process ${process.pid} belongs to root: run cr as that user or with sudo`,
    );
  });

  test("is told to raise Yama's scope for own processes", () => {
    show("/proc/sys/kernel/yama/ptrace_scope", "1");
    execFileSync("chmod", ["-R", "a+rX", root]);
    expect(asNobody("explainTraceDenied(process.pid)")).toContain("sudo sysctl kernel.yama.ptrace_scope=0");
  });

  test("lacks the abilities of root, each with the next command", () => {
    const abilities = asNobody("hostAbilities()") as ReturnType<typeof hostAbilities>;
    const missing = abilities.filter((one) => one.state !== "ok");
    expect(missing.map((one) => one.name)).toEqual(
      expect.arrayContaining(["tracing others", "same pid", "cpusets"]),
    );
    for (const one of missing) expect(one).toMatchObject({ state: "warn", next: expect.stringMatching(/./) });
  });
});

describe("abilities by setting", () => {
  test("user namespaces are off when none may be made", () => {
    show("/proc/sys/user/max_user_namespaces", "0");
    expect(ability("user namespaces")).toMatchObject({
      state: "warn",
      found: "off (user.max_user_namespaces is 0)",
      next: "sudo sysctl user.max_user_namespaces=10000",
    });
  });

  test("cores piped to a handler are told", () => {
    show("/proc/sys/kernel/core_pattern", "|/usr/lib/apport %p");
    expect(ability("core_pattern")).toMatchObject({
      state: "warn",
      next: "sudo sysctl kernel.core_pattern=core.%p",
    });
  });

  test.each([
    ["/proc/sys/kernel/unprivileged_userns_clone", "0", "sudo sysctl kernel.unprivileged_userns_clone=1"],
    [
      "/proc/sys/kernel/apparmor_restrict_unprivileged_userns",
      "1",
      "sudo sysctl kernel.apparmor_restrict_unprivileged_userns=0",
    ],
  ])("user namespaces for root only by %s", (path, value, next) => {
    show("/proc/sys/user/max_user_namespaces", "1000");
    show(path, value);
    expect(ability("user namespaces")).toMatchObject({ state: "warn", next });
    expect(ability("user namespaces")?.found).toMatch(/^for root only \(/);
  });

  test("without gdb on the path the package is named", () => {
    vi.stubEnv("PATH", root);
    expect(ability("gdb")).toMatchObject({ state: "warn", next: "sudo apt-get install gdb" });
  });
});

describe("CPUs and cgroups", () => {
  test("online CPUs come from sysfs", () => {
    show("/sys/devices/system/cpu/online", "0,2-5");
    expect(cpuInventory().online).toBe("0,2-5");
    expect(cpuInventory().model).not.toBe("");
  });

  test("the cpuset of this machine is found with the CPUs it allows", () => {
    expect(findCpusetHierarchy()).toMatchObject({
      ownCpus: expect.stringMatching(/^\d/),
      ownMems: expect.stringMatching(/^\d/),
    });
  });

  test("cgroup mounts are told from others, with blanks in their paths", () => {
    const text = [
      "30 24 0:26 / /sys/fs/cgroup/cpu\\040set rw,relatime shared:9 - cgroup cgroup rw,cpuset,clone_children",
      "31 24 0:27 /box /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw,nsdelegate",
      "32 24 0:28 / /tmp rw - tmpfs tmpfs rw",
    ].join("\n");
    expect(cgroupMounts(text)).toEqual([
      {
        root: "/",
        point: "/sys/fs/cgroup/cpu set",
        type: "cgroup",
        superOptions: ["rw", "cpuset", "clone_children"],
      },
      { root: "/box", point: "/sys/fs/cgroup/unified", type: "cgroup2", superOptions: ["rw", "nsdelegate"] },
    ]);
  });
});

test("users have names, and numbers where they have none", () => {
  expect(userName(0)).toBe("root");
  expect(userName(4_000_000)).toBe("uid 4000000");
});
