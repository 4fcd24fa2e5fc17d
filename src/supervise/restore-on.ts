/**
 * A restore with CPUs: puts placement, the cpuset cgroup and the restore itself together. As root the program is
 * confined by a cpuset that its later children cannot leave; otherwise by affinity, which they could change. What only a
 * process tree or a restore apart needs is loaded for these.
 */
import { isBundle } from "../core/manifest.js";
import { formatCpuList, parseCpuList } from "../cpus/cpu-list.js";
import { type Cpuset, makeCpuset } from "../cpus/cpuset.js";
import { choosePlacement } from "../cpus/placement.js";
import { findCpusetHierarchy } from "../host/cgroup.js";
import { cpuInventory } from "../host/cpu.js";
import type { Apart } from "../restore/apart.js";
import { checkLazy } from "../restore/check-lazy.js";
import type { Placed } from "../restore/placed.js";
import { type Restored, restore } from "../restore/restore.js";
import type { SoftError } from "../state/soft-error.js";
import type { RestoreOnOptions } from "./restore-options.js";
import { planSurroundings } from "./surroundings.js";

/**
 * `restore` of restore/restore.ts on the CPUs asked for, and in the surroundings that it needs. Also throws
 * CPU_UNAVAILABLE, CGROUP and NOT_PERMITTED.
 */
export async function restoreOn(path: string, options: RestoreOnOptions = {}): Promise<Restored> {
  const isTree = isBundle(path);
  const surroundings = await planSurroundings(path, options);
  if (options.lazy) checkLazy({ path, isTree, pid: options.pid, isApart: surroundings !== null });
  if (surroundings === null) return restoreHere(path, options);
  const { restoreApart } = await import("./restore-apart.js");
  return restoreApart(path, options, surroundings);
}

/** The same in the surroundings that this process is in. */
export async function restoreHere(path: string, options: RestoreOnOptions & Apart): Promise<Restored> {
  const { cpus, pid, ...rest } = options;
  let cpuset: Cpuset | null = null;
  try {
    const start = isBundle(path) ? (await import("../restore/tree.js")).restoreTree : restore;
    return await start(path, {
      ...rest,
      pid: pid === "new" ? "new" : "keep",
      place: (recorded) => {
        const plan = plannedPlaces(recorded, cpus);
        const confined = plan.confineTo ? cpusetFor(plan.confineTo) : { cpuset: null, softErrors: [] };
        cpuset = confined.cpuset;
        return {
          affinity: plan.affinity,
          softErrors: [...plan.softErrors, ...confined.softErrors],
          confine: (pid) => confined.cpuset?.join(pid),
        };
      },
    });
  } finally {
    // One that the program is in stays with it.
    (cpuset as Cpuset | null)?.remove();
  }
}

type Planned = Pick<Placed, "affinity" | "softErrors"> & {
  readonly confineTo: readonly number[] | undefined;
};

function plannedPlaces(
  recorded: readonly (readonly number[])[],
  cpus: readonly number[] | undefined,
): Planned {
  const inventory = cpuInventory();
  const available = { online: parseCpuList(inventory.online), allowed: parseCpuList(inventory.allowed) };
  // Cores of other tools do not tell where the program ran.
  const known = recorded.map((affinity) => (affinity.length > 0 ? affinity : available.allowed));
  const { affinity, confineTo, lost } = choosePlacement(known, available, cpus);
  const softErrors: SoftError[] =
    lost.length === 0
      ? []
      : [
          {
            kind: "affinity",
            id: "",
            message: `it may not use CPU ${formatCpuList(lost)} here, which it could before`,
          },
        ];
  return { affinity, confineTo, softErrors };
}

function cpusetFor(cpus: readonly number[]): { cpuset: Cpuset | null; softErrors: SoftError[] } {
  const hierarchy = findCpusetHierarchy();
  if (hierarchy?.writable) return { cpuset: makeCpuset(hierarchy, "restore", cpus), softErrors: [] };
  const why =
    hierarchy === undefined ? "this host has no cpuset cgroups" : "making a cpuset cgroup needs root";
  const message = `the program is kept on CPU ${formatCpuList(cpus)} by affinity only, which it can change: ${why}`;
  return { cpuset: null, softErrors: [{ kind: "affinity", id: "", message }] };
}
