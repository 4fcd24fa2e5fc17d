/** Which other process holds a pipe or socket open: found by the links of all descriptors the caller may see. */
import { readdirSync, readFileSync, readlinkSync } from "node:fs";
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
 * the path of a FIFO, `ptmx:N` for the master of
 * /dev/pts/N). Without root only own processes are seen.
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
      const link = linkOf(pid, fd);
      if (!links.has(link) || found.has(link)) continue;
      found.set(link, { pid, comm: processStatus(pid)?.comm ?? "?", fd: Number(fd) });
    }
  }
  return found;
}

/** True while a process has a descriptor with this link. */
export function holds(pid: number, link: string): boolean {
  return entries(`/proc/${pid}/fd`).some((fd) => linkOf(pid, fd) === link);
}

/** Nothing for a process that ended or belongs to somebody else. */
function entries(folder: string): readonly string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}

/** All masters of pseudo-terminals have one link: their number tells them apart (`tty-index` of fdinfo). */
function linkOf(pid: number, fd: string): string {
  try {
    const link = readlinkSync(`/proc/${pid}/fd/${fd}`);
    if (!link.endsWith("/ptmx")) return link;
    const info = readFileSync(`/proc/${pid}/fdinfo/${fd}`, "latin1");
    return `ptmx:${/^tty-index:\s*(\d+)/m.exec(info)?.[1]}`;
  } catch {
    return "";
  }
}
