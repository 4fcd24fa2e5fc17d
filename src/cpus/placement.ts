/**
 * On which CPUs the threads of a restored program run. Pure: what the core recorded, what this host has and what
 * the user asked for come in as data. The kernel rejects an affinity outside the cpuset (EINVAL), so such a
 * wish is refused here, before anything is started.
 */
import { CrError } from "../errors.js";
import { formatCpuList } from "./cpu-list.js";

/** What this host offers to `cr`; ascending CPU numbers. */
export interface AvailableCpus {
  readonly online: readonly number[];
  /** CPUs of the cpuset `cr` runs in. */
  readonly allowed: readonly number[];
}

export interface Placement {
  /** Affinity of each thread, in the order of the recorded ones. Set it after joining a cpuset: joining resets it. */
  readonly affinity: readonly (readonly number[])[];
  /** CPUs the program is to be confined to by a cpuset; undefined when nothing was asked for. */
  readonly confineTo: readonly number[] | undefined;
  /** Recorded CPUs that this host does not have, which the threads lose; a soft error for the caller to tell. */
  readonly lost: readonly number[];
}

/**
 * Chooses the CPUs of every thread. Asked CPUs must be online and allowed (CPU_UNAVAILABLE). If all threads had
 * the same affinity, the program was placed as a whole and gets all that was asked for; threads the program has
 * placed apart keep what they share with it, or get all of it. Without a wish each thread keeps what this host
 * has of its own CPUs; none left is CPU_UNAVAILABLE.
 */
export function choosePlacement(
  recorded: readonly (readonly number[])[],
  available: AvailableCpus,
  asked?: readonly number[],
): Placement {
  const usable = available.allowed.filter((cpu) => available.online.includes(cpu));
  if (asked !== undefined) {
    requireUsable(asked, available);
    const together = recorded.every((cpus) => formatCpuList(cpus) === formatCpuList(recorded[0] ?? []));
    const affinity = recorded.map((cpus) => (together ? asked : orAll(intersect(cpus, asked), asked)));
    return { affinity, confineTo: asked, lost: [] };
  }
  const affinity = recorded.map((cpus) => {
    const kept = intersect(cpus, usable);
    if (kept.length > 0) return kept;
    throw new CrError(
      "CPU_UNAVAILABLE",
      `placing the program: a thread ran on CPU ${formatCpuList(cpus)} only, this host allows ${formatCpuList(usable)}`,
      { hint: `say where it may run: --cpus ${formatCpuList(usable)}` },
    );
  });
  const lost = recorded.flat().filter((cpu) => !usable.includes(cpu));
  return { affinity, confineTo: undefined, lost: [...new Set(lost)].sort((a, b) => a - b) };
}

function requireUsable(asked: readonly number[], { online, allowed }: AvailableCpus): void {
  const hint = `choose from ${formatCpuList(intersect(allowed, online))}`;
  if (asked.length === 0)
    throw new CrError("CPU_UNAVAILABLE", "placing the program: no CPU was named", { hint });
  const offline = asked.filter((cpu) => !online.includes(cpu));
  if (offline.length > 0) {
    throw new CrError(
      "CPU_UNAVAILABLE",
      `placing the program: CPU ${formatCpuList(offline)} is not online, asked CPUs must be`,
      { hint },
    );
  }
  const excluded = asked.filter((cpu) => !allowed.includes(cpu));
  if (excluded.length > 0) {
    throw new CrError(
      "CPU_UNAVAILABLE",
      `placing the program: CPU ${formatCpuList(excluded)} is outside the cpuset of cr (${formatCpuList(allowed)})`,
      { hint },
    );
  }
}

function intersect(left: readonly number[], right: readonly number[]): readonly number[] {
  return left.filter((cpu) => right.includes(cpu));
}

function orAll(some: readonly number[], all: readonly number[]): readonly number[] {
  return some.length > 0 ? some : all;
}
