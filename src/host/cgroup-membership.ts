/**
 * In which control groups a process is (cgroups(7)), one of every hierarchy, and how it gets back into them. cpusets
 * that Recore makes itself are src/cpus/cpuset.ts.
 */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { isErrno } from "../errors.js";
import { cgroupMounts } from "./cgroup.js";
import { readText } from "./sysfs.js";

/** What moving a process may end in: not permitted, read-only, over a limit, threaded or with children's controllers. */
const REFUSALS = [
  "EACCES",
  "EPERM",
  "EROFS",
  "EAGAIN",
  "EBUSY",
  "EINVAL",
  "ENOSPC",
  "EOPNOTSUPP",
  "ENOTSUP",
  "ESRCH",
];

export interface Membership {
  /** Controllers of the hierarchy as the kernel lists them, `name=systemd` for one without, empty for version 2. */
  readonly controllers: string;
  readonly path: string;
}

/** The rows of /proc/PID/cgroup; none where the kernel has no control groups, or the process is gone. */
export function membershipOf(pid: number | "self"): Membership[] {
  return parseMembership(readText(`/proc/${pid}/cgroup`) ?? "");
}

/** Rows such as `4:memory:/a/b`; a path may hold colons. */
export function parseMembership(text: string): Membership[] {
  return text.split("\n").flatMap((row) => {
    const match = row.match(/^\d+:([^:]*):(.*)$/);
    return match === null ? [] : [{ controllers: match[1] ?? "", path: match[2] ?? "/" }];
  });
}

/** Moves a process into these groups where it is in others; why not, for every one that it could not join. */
export function joinGroups(pid: number, wanted: readonly Membership[]): { group: Membership; why: string }[] {
  const now = membershipOf(pid);
  const mountinfo = readText("/proc/self/mountinfo") ?? "";
  return wanted.flatMap((group) => {
    const own = now.find(({ controllers }) => controllers === group.controllers);
    if (own?.path === group.path) return [];
    const why = joinOne(pid, group, mountinfo);
    return why === null ? [] : [{ group, why }];
  });
}

/** Null when it is in, else why it is not. */
function joinOne(pid: number, { controllers, path }: Membership, mountinfo: string): string | null {
  const wanted = controllers.split(",").filter(Boolean);
  const mount = cgroupMounts(mountinfo).find(({ type, superOptions }) =>
    wanted.length === 0
      ? type === "cgroup2"
      : type === "cgroup" && wanted.every((controller) => superOptions.includes(controller)),
  );
  if (mount === undefined) return "the hierarchy is not mounted here";
  if (mount.root !== "/" && !`${path}/`.startsWith(`${mount.root}/`)) return "it is not visible here";
  const folder = join(mount.point, mount.root === "/" ? path : path.slice(mount.root.length));
  if (isFrozen(folder)) return "it is frozen";
  try {
    writeFileSync(join(folder, "cgroup.procs"), `${pid}`, { flag: "r+" });
    return null;
  } catch (error) {
    if (isErrno(error, "ENOENT", "ENODEV")) return "it is not there any more";
    if (!isErrno(error, ...REFUSALS)) throw error;
    return `the kernel refuses it (${error.code})`;
  }
}

/** A process that is moved into a frozen group stops at once. */
function isFrozen(folder: string): boolean {
  const state = readText(join(folder, "freezer.state"))?.trim() ?? "THAWED";
  return state !== "THAWED" || readText(join(folder, "cgroup.freeze"))?.trim() === "1";
}
