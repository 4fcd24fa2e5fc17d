/**
 * Sets of CPUs in the kernel's list form, `0,2-3` (cpuset(7), "List format"): as users type them and as files
 * under /sys and cgroups hold them. In memory a set is an ascending array of distinct numbers.
 */
import { CrError } from "../errors.js";

/** More CPUs than any kernel is built for (NR_CPUS is at most 8192): a limit on what `0-N` may unfold to. */
const CPU_MAX = 8191;

/** Reads a list; USAGE when it is not one. An empty text is an empty set only in files: `allowEmpty`. */
export function parseCpuList(text: string, { allowEmpty = false } = {}): readonly number[] {
  const trimmed = text.trim();
  if (trimmed === "" && allowEmpty) return [];
  const cpus = new Set<number>();
  for (const part of trimmed.split(",")) {
    const match = /^(\d{1,4})(?:-(\d{1,4}))?$/.exec(part.trim());
    const first = Number(match?.[1]);
    const last = Number(match?.[2] ?? match?.[1]);
    if (match === null || last < first || last > CPU_MAX) throw notAList(text);
    for (let cpu = first; cpu <= last; cpu += 1) cpus.add(cpu);
  }
  return [...cpus].sort((a, b) => a - b);
}

/** Writes a set in its shortest list form. */
export function formatCpuList(cpus: readonly number[]): string {
  const sorted = [...new Set(cpus)].sort((a, b) => a - b);
  const parts: string[] = [];
  for (let from = 0; from < sorted.length; ) {
    let to = from;
    while (sorted[to + 1] === (sorted[to] ?? 0) + 1) to += 1;
    parts.push(from === to ? `${sorted[from]}` : `${sorted[from]}-${sorted[to]}`);
    from = to + 1;
  }
  return parts.join(",");
}

function notAList(text: string): CrError {
  return new CrError("USAGE", `reading a list of CPUs: "${text}" found, numbers and ranges required`, {
    hint: "write it like 0,2-3",
  });
}
