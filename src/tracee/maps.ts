/** The mappings of a process from /proc/PID/smaps: one Vma each, with VmFlags (proc_pid_smaps(5)). */
import { readdirSync, readFileSync, statSync } from "node:fs";
import type { Vma } from "../state/vma.js";

/** A name may hold any byte, line separators of JavaScript among them. */
const HEADER = /^([0-9a-f]+)-([0-9a-f]+) ([r-][w-][x-][ps]) ([0-9a-f]+) ([0-9a-f]+:[0-9a-f]+) (\d+) *(.*)$/s;
const DELETED = " (deleted)";

/** All mappings in order of address, [vsyscall] left out: it is the same in every process. */
export function readMappings(pid: number): Vma[] {
  const vmas = parseSmaps(readFileSync(`/proc/${pid}/smaps`, "utf8"));
  return vmas.map((vma) => (vma.deleted && isThere(pid, vma) ? undelete(vma) : vma));
}

/**
 * The same in a moment, however much memory there is: smaps counts every page, maps none. The flags are those of
 * `known`; null where there is a mapping that was not there then.
 */
export function readMappingsAsKnown(pid: number, known: readonly Vma[]): Vma[] | null {
  const byStart = new Map(known.map((vma) => [vma.start, vma]));
  const vmas = parseSmaps(readMapsText(pid)).map((vma) => {
    const before = byStart.get(vma.start);
    return before !== undefined && isSameMapping(vma, before) ? { ...before, guards: [] } : null;
  });
  return vmas.includes(null) ? null : (vmas as Vma[]);
}

function isSameMapping(a: Vma, b: Vma): boolean {
  const name = ({ path, deleted }: Vma) => path + (deleted ? DELETED : "");
  const isNamed = name(a) === name(b) || name(a) === name(b) + DELETED;
  return a.end === b.end && a.prot === b.prot && a.offset === b.offset && a.ino === b.ino && isNamed;
}

/** True when no mapping that was there before has other flags now; those that are gone tell nothing. */
export function haveFlagsOf(before: readonly Vma[], now: readonly Vma[]): boolean {
  const byStart = new Map(now.map((vma) => [vma.start, vma]));
  return before.every((vma) => {
    const later = byStart.get(vma.start);
    if (later === undefined || !isSameMapping(later, vma)) return true;
    return later.flags.join() === vma.flags.join();
  });
}

/** A path as the process sees it, for us to open: under its own root folder. */
export function pathInside(pid: number, path: string): string {
  return `/proc/${pid}/root${path}`;
}

/** The file behind exactly this mapping, whatever its name does; needs CAP_CHECKPOINT_RESTORE or CAP_SYS_ADMIN. */
export function mapFile(pid: number, vma: Pick<Vma, "start" | "end">): string {
  return `/proc/${pid}/map_files/${vma.start.toString(16)}-${vma.end.toString(16)}`;
}

/** Processes other than `pid` that map the same object (`dev` and `ino` as maps prints them). */
export function otherMappers(pid: number, vma: Pick<Vma, "dev" | "ino">): number[] {
  const pids = readdirSync("/proc").filter((name) => /^\d+$/.test(name));
  return pids
    .map(Number)
    .filter((other) => other !== pid && mapsText(other).includes(` ${vma.dev} ${vma.ino} `));
}

/** Empty for a process that is gone or hidden from us: what we may not look at cannot be told apart. */
function mapsText(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/maps`, "latin1");
  } catch {
    return "";
  }
}

/** Text of /proc/PID/maps of a process of our own. */
export function readMapsText(pid: number): string {
  return readFileSync(`/proc/${pid}/maps`, "latin1");
}

/** Parses the text of smaps or maps (then without flags). */
export function parseSmaps(text: string): Vma[] {
  const vmas: Vma[] = [];
  for (const line of text.split("\n")) {
    const match = HEADER.exec(line);
    if (match) {
      const vma = parseHeader(match);
      if (vma.path !== "[vsyscall]") vmas.push(vma);
    } else if (line.startsWith("VmFlags:")) {
      vmas.at(-1)?.flags.push(...line.slice(8).split(" ").filter(Boolean));
    }
  }
  return vmas;
}

function parseHeader(match: RegExpExecArray): Vma {
  const [, start = "", end = "", prot = "", offset = "", dev = "", ino = "", name = ""] = match;
  const deleted = name.endsWith(DELETED);
  const path = withNewlines(deleted ? name.slice(0, -DELETED.length) : name);
  return {
    start: BigInt(`0x${start}`),
    end: BigInt(`0x${end}`),
    prot,
    offset: BigInt(`0x${offset}`),
    path,
    deleted,
    dev,
    ino: BigInt(ino),
    flags: [],
    kind: kindOf(path, { prot, ino, deleted }),
    file: null,
    guards: [],
  };
}

function kindOf(path: string, facts: { prot: string; ino: string; deleted: boolean }): Vma["kind"] {
  const shared = facts.prot.endsWith("s");
  if (path.startsWith("[v") || path === "[uprobes]") return "special";
  if (path === "/dev/zero") return shared ? "shared-anonymous" : "anonymous";
  if (path.startsWith("[anon_shmem:")) return "shared-anonymous";
  if (path === "" || path.startsWith("[")) return facts.ino === "0" ? "anonymous" : "shared-anonymous";
  return shared ? "shared-file" : "file";
}

/** seq_path() writes newlines as \012. */
function withNewlines(name: string): string {
  return name.includes("\\012") ? name.replaceAll("\\012", "\n") : name;
}

/** A file may really be called `x (deleted)`. */
function isThere(pid: number, vma: Vma): boolean {
  if (!vma.path.startsWith("/")) return false;
  const stat = statSync(pathInside(pid, vma.path + DELETED), { bigint: true, throwIfNoEntry: false });
  return stat?.ino === vma.ino;
}

function undelete(vma: Vma): Vma {
  return { ...vma, path: vma.path + DELETED, deleted: false };
}
