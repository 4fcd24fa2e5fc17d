/**
 * What `cr` can do on this host, one check an ability: what was found, what it buys, and the command that gets it
 * when it is missing. Looks only; changes nothing. `cr doctor` prints the list and adds the native library.
 */
import { accessSync, constants } from "node:fs";
import { delimiter, join } from "node:path";
import type { Ability } from "./ability.js";
import { hasCapability } from "./capabilities.js";
import { capabilityChecks, launcherFor } from "./capability-checks.js";
import { findCpusetHierarchy } from "./cgroup.js";
import { kernelHas, kernelRelease, OLDEST_KERNEL, requireKernel } from "./kernel.js";
import { statusLine } from "./process-status.js";
import { yamaScope } from "./ptrace-scope.js";
import { pidRoom, userfaults, userNamespacesOpen } from "./setting-checks.js";
import { readSys } from "./sysfs.js";
import { userName } from "./user.js";

/** All checks, the basics first. */
export function hostAbilities(): readonly Ability[] {
  return [
    kernel(),
    tracing(),
    samePid(),
    ...capabilityChecks(),
    livePages(),
    userNamespacesOpen(),
    userfaults(),
    pidRoom(),
    cpusets(),
    gdb(),
    kernelCores(),
  ];
}

function kernel(): Ability {
  const check = { name: "kernel", found: `Linux ${kernelRelease()}`, buys: "checkpoint and restore" };
  try {
    requireKernel();
    return { ...check, state: "ok" };
  } catch {
    return { ...check, state: "no", next: `install and boot Linux ${OLDEST_KERNEL.join(".")} or later` };
  }
}

function tracing(): Ability {
  const scope = yamaScope();
  const user = userName(process.geteuid?.() ?? 0);
  const check = {
    name: "tracing",
    found: `as ${user}, Yama ${scope === undefined ? "absent" : `ptrace_scope ${scope}`}`,
    buys: "checkpoint of your own programs",
  };
  if (scope === 3) return { ...check, state: "no", next: "boot without kernel.yama.ptrace_scope=3" };
  if ((scope === 1 || scope === 2) && !hasCapability("CAP_SYS_PTRACE")) {
    return { ...check, state: "no", next: "sudo sysctl kernel.yama.ptrace_scope=0" };
  }
  if (statusLine("self", "Seccomp") !== "2") return { ...check, state: "ok" };
  const found = `${check.found}, under a seccomp filter`;
  return { ...check, found, state: "warn", next: "docker run --security-opt seccomp=unconfined ..." };
}

function samePid(): Ability {
  const by = (["CAP_CHECKPOINT_RESTORE", "CAP_SYS_ADMIN"] as const).find(hasCapability);
  const kernelCan = kernelHas("clone3SetTid");
  const check = {
    name: "same pid",
    found: `clone3 set_tid ${kernelCan ? "present" : "absent"}, ${by ?? "CAP_CHECKPOINT_RESTORE missing"}`,
    buys: "restore under the recorded pid",
  };
  if (!kernelCan) return { ...check, state: "no", next: "boot Linux 5.5 or later" };
  return by !== undefined
    ? { ...check, state: "ok" }
    : { ...check, state: "warn", next: launcherFor("CAP_CHECKPOINT_RESTORE") };
}

function livePages(): Ability {
  const present = kernelHas("pagemapScan");
  const check = {
    name: "page scan",
    found: `PAGEMAP_SCAN ${present ? "present" : "absent before Linux 6.7"}`,
    buys: "fast search for pages in memory; guard regions are seen",
  };
  return present ? { ...check, state: "ok" } : { ...check, state: "warn", next: "boot Linux 6.7 or later" };
}

function cpusets(): Ability {
  const hierarchy = findCpusetHierarchy();
  const check = {
    name: "cpusets",
    found: hierarchy === undefined ? "not mounted" : `cgroup v${hierarchy.version} at ${hierarchy.mount}`,
    buys: "restore --cpus that later children cannot leave",
  };
  if (hierarchy?.writable) return { ...check, state: "ok" };
  if (hierarchy !== undefined) {
    return {
      ...check,
      found: `${check.found}, read-only for you`,
      state: "warn",
      next: "sudo cr restore --cpus ...",
    };
  }
  return { ...check, state: "warn", next: "use --cpus without it: affinity alone is set" };
}

function gdb(): Ability {
  const path = findProgram("gdb");
  const check = { name: "gdb", found: path ?? "not installed", buys: "a look into cores" };
  return path !== undefined
    ? { ...check, state: "ok" }
    : { ...check, state: "warn", next: "sudo apt-get install gdb" };
}

function kernelCores(): Ability {
  const pattern = readSys("/proc/sys/kernel/core_pattern") ?? "";
  const check = {
    name: "core_pattern",
    found: pattern || "empty",
    buys: "restore of cores that crashes left",
  };
  if (pattern !== "" && !pattern.startsWith("|")) return { ...check, state: "ok" };
  return { ...check, state: "warn", next: "sudo sysctl kernel.core_pattern=core.%p" };
}

function findProgram(name: string): string | undefined {
  const folders = (process.env.PATH ?? "").split(delimiter).filter((folder) => folder !== "");
  return folders
    .map((folder) => join(folder, name))
    .find((path) => {
      try {
        accessSync(path, constants.X_OK);
        return true;
      } catch {
        return false;
      }
    });
}
