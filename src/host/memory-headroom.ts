/** How much more memory a process may take before something is killed: of its control group, and of the machine. */
import { readFileSync } from "node:fs";
import { isErrno } from "../errors.js";

const GROUPS: readonly (readonly [controller: string, base: string, limit: string, used: string])[] = [
  ["memory", "/sys/fs/cgroup/memory", "memory.limit_in_bytes", "memory.usage_in_bytes"],
  ["", "/sys/fs/cgroup", "memory.max", "memory.current"],
];

/** Bytes that are free for the process: the least of what its groups, their parents and the machine have left. */
export function memoryHeadroom(pid: number): number {
  const lines = read(`/proc/${pid}/cgroup`)?.trim().split("\n") ?? [];
  const groups = GROUPS.flatMap(([controller, base, limit, used]) => {
    const line = lines.map((text) => text.split(":")).find(([, names]) => isOf(names ?? "", controller));
    return line === undefined
      ? []
      : upwards(line.slice(2).join(":")).map((path) => left(base + path, limit, used));
  });
  return Math.min(available(), ...groups);
}

function isOf(names: string, controller: string): boolean {
  return controller === "" ? names === "" : names.split(",").includes(controller);
}

/** A path and all above it. */
function upwards(path: string): string[] {
  const parts = path.split("/").filter(Boolean);
  return parts.map((_, index) => `/${parts.slice(0, parts.length - index).join("/")}`).concat("");
}

function left(folder: string, limit: string, used: string): number {
  const most = Number(read(`${folder}/${limit}`) ?? "NaN");
  const now = Number(read(`${folder}/${used}`) ?? "NaN");
  return Number.isNaN(most - now) ? Number.POSITIVE_INFINITY : Math.max(0, most - now);
}

function available(): number {
  const text = read("/proc/meminfo") ?? "";
  return Number(/^MemAvailable:\s+(\d+) kB/m.exec(text)?.[1] ?? "0") * 1024;
}

function read(path: string): string | null {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    if (isErrno(error, "ENOENT", "EACCES", "ENOTDIR", "ESRCH", "EPERM", "EINVAL")) return null;
    throw error;
  }
}
