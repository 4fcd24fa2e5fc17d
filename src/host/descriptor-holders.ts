/** Which other process holds a pipe or socket open: found by the links of all descriptors the caller may see. */
import { readdirSync, readlinkSync } from "node:fs";
import { processStatus } from "./process-status.js";

export interface Holder {
  readonly pid: number;
  readonly comm: string;
  /** The number of its descriptor. */
  readonly fd: number;
}

/** A phrase for messages: `process 812 (sleep) has as descriptor 3`. */
export function describeFarEnd({ pid, comm, fd }: Holder): string {
  return `process ${pid} (${comm}) has as descriptor ${fd}`;
}

/**
 * The first process other than `exceptPids` that has a descriptor with each of these links (`pipe:[N]`, `socket:[N]`,
 * the path of a FIFO). Without root only own processes are seen.
 */
export function holdersOf(
  links: ReadonlySet<string>,
  exceptPids: readonly number[],
): ReadonlyMap<string, Holder> {
  const found = new Map<string, Holder>();
  if (links.size === 0) return found;
  for (const pid of entries("/proc")
    .filter((name) => /^\d+$/.test(name))
    .map(Number)) {
    if (exceptPids.includes(pid)) continue;
    for (const fd of entries(`/proc/${pid}/fd`)) {
      const link = linkOf(`/proc/${pid}/fd/${fd}`);
      if (!links.has(link) || found.has(link)) continue;
      found.set(link, { pid, comm: processStatus(pid)?.comm ?? "?", fd: Number(fd) });
    }
  }
  return found;
}

/** True while a process has a descriptor with this link. */
export function holds(pid: number, link: string): boolean {
  return entries(`/proc/${pid}/fd`).some((fd) => linkOf(`/proc/${pid}/fd/${fd}`) === link);
}

/** Nothing for a process that ended or belongs to somebody else. */
function entries(folder: string): readonly string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}

function linkOf(path: string): string {
  try {
    return readlinkSync(path);
  } catch {
    return "";
  }
}
