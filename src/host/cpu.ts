/**
 * The CPUs of this machine. Sets of CPUs are text in the kernel's list form (`0,2-3`), as they stand in the
 * files; src/cpus/cpu-list.ts reads that form and src/cpus/placement.ts decides with it.
 */
import { findCpusetHierarchy } from "./cgroup.js";
import { statusLine } from "./process-status.js";
import { readSys, readText } from "./sysfs.js";

export interface CpuInventory {
  /** CPUs that are switched on (/sys/devices/system/cpu/online). */
  readonly online: string;
  /** CPUs that `cr`'s cpuset allows; where no cpuset can be seen, its affinity, which is within it. */
  readonly allowed: string;
  /** `model name` of the first CPU. */
  readonly model: string;
}

/** Reads what CPUs there are. */
export function cpuInventory(): CpuInventory {
  const affinity = statusLine("self", "Cpus_allowed_list") ?? "0";
  const allowed = findCpusetHierarchy()?.ownCpus || affinity;
  return { online: readSys("/sys/devices/system/cpu/online") ?? affinity, allowed, model: cpuModel() };
}

function cpuModel(): string {
  const text = readText("/proc/cpuinfo") ?? "";
  return /^model name\s*: (.*)$/m.exec(text)?.[1] ?? "unknown";
}
