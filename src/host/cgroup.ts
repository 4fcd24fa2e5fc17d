/**
 * Where this host's cpuset cgroups are: version 1 (a hierarchy of its own) or 2 (a controller of the one
 * hierarchy), and the group `cr` is in. Making groups is src/cpus/cpuset.ts.
 */
import { accessSync, constants } from "node:fs";
import { join } from "node:path";
import { readText } from "./sysfs.js";

/** A cpuset hierarchy as data; file names differ between the versions (cpuset(7), cgroup-v2.rst). */
export interface CpusetHierarchy {
  readonly version: 1 | 2;
  /** Where the hierarchy is mounted. */
  readonly mount: string;
  /** Folder of the group `cr` is in. */
  readonly own: string;
  /** CPUs and memory nodes that group allows, in list form. */
  readonly ownCpus: string;
  readonly ownMems: string;
  /** True when `cr` may make groups where Recore makes them: below `own` (v1) or below `mount` (v2). */
  readonly writable: boolean;
}

interface Mount {
  readonly root: string;
  readonly point: string;
  readonly type: string;
  readonly superOptions: readonly string[];
}

/** Finds the cpuset hierarchy; undefined when the kernel or the container offers none. */
export function findCpusetHierarchy(): CpusetHierarchy | undefined {
  const mounts = cgroupMounts(readText("/proc/self/mountinfo") ?? "");
  const membership = (readText("/proc/self/cgroup") ?? "").split("\n").map((line) => line.split(":"));
  const v1 = mounts.find((mount) => mount.type === "cgroup" && mount.superOptions.includes("cpuset"));
  if (v1 !== undefined) {
    const path = membership.find((row) => (row[1] ?? "").split(",").includes("cpuset"))?.[2] ?? "/";
    return hierarchy(1, v1, path);
  }
  const v2 = mounts.find((mount) => mount.type === "cgroup2");
  if (v2 === undefined) return undefined;
  const controllers = (readText(join(v2.point, "cgroup.controllers")) ?? "").split(" ");
  if (!controllers.includes("cpuset")) return undefined;
  return hierarchy(2, v2, membership.find((row) => row[0] === "0")?.[2] ?? "/");
}

/** The cgroup mounts of a mountinfo text (proc_pid_mountinfo(5)): fields up to ` - `, then type, source, options. */
export function cgroupMounts(mountinfo: string): readonly Mount[] {
  return mountinfo.split("\n").flatMap((line) => {
    const [before = "", after = ""] = line.split(" - ", 2);
    const [type = "", , options = ""] = after.split(" ");
    if (type !== "cgroup" && type !== "cgroup2") return [];
    const [, , , root = "/", point = ""] = before.split(" ");
    return [{ root, point: unescapeOctal(point), type, superOptions: options.split(",") }];
  });
}

function hierarchy(version: 1 | 2, mount: Mount, path: string): CpusetHierarchy {
  // In a container the mount may begin at the container's own group, which the membership path repeats.
  const inside = mount.root !== "/" && path.startsWith(mount.root) ? path.slice(mount.root.length) : path;
  const own = join(mount.point, inside);
  const names =
    version === 1
      ? ["cpuset.effective_cpus", "cpuset.effective_mems"]
      : ["cpuset.cpus.effective", "cpuset.mems.effective"];
  const [ownCpus = "", ownMems = ""] = names.map((name) => nearest(mount.point, own, name));
  return {
    version,
    mount: mount.point,
    own,
    ownCpus,
    ownMems,
    writable: isWritable(version === 1 ? own : mount.point),
  };
}

/** A v2 group without the controller has no file of its own: the nearest group above that has one rules. */
function nearest(mount: string, group: string, name: string): string {
  for (let at = group; at.startsWith(mount) && at.length >= mount.length; at = join(at, "..")) {
    const text = readText(join(at, name));
    if (text !== undefined) return text;
    if (at === mount) break;
  }
  return "";
}

function isWritable(folder: string): boolean {
  try {
    accessSync(folder, constants.W_OK);
    return true;
  } catch {
    return false;
  }
}

function unescapeOctal(text: string): string {
  return text.replace(/\\([0-7]{3})/g, (_match, digits: string) =>
    String.fromCharCode(Number.parseInt(digits, 8)),
  );
}
