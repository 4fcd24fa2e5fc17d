/** The mappings of a process from /proc/PID/smaps: one Vma each, with VmFlags (proc_pid_smaps(5)). */
import { readdirSync, readFileSync, statSync } from "node:fs";
import type { Vma } from "../state/vma.js";
import { CountedList, readCountedList } from "./counted-list.js";

/** A name may hold any byte, line separators of JavaScript among them. */
const HEADER = /^([0-9a-f]+)-([0-9a-f]+) ([r-][w-][x-][ps]) ([0-9a-f]+) ([0-9a-f]+:[0-9a-f]+) (\d+) *(.*)$/s;
const DELETED = " (deleted)";
/** Name of memory with MAP_HUGETLB and without a file (HUGETLB_ANON_FILE). */
export const HUGE_PAGES = "/anon_hugepage";

const smapsOf = (pid: number) => `/proc/${pid}/smaps`;

/** Mappings that are read while something else is done, of a process with about these; to be disposed of. */
export function beginMappings(pid: number, known: readonly Vma[]): CountedList {
  return CountedList.begin(smapsOf(pid), known);
}

/** All mappings in order of address, [vsyscall] left out: it is the same in every process. Errors of reading. */
export function readMappings(pid: number, begun?: CountedList): Vma[] {
  const vmas = parseSmaps(begun?.text("utf8") ?? readCountedList(smapsOf(pid), "utf8"));
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
export function otherMappers(pid: number, vma: Pick<Vma, "dev" | "ino">): readonly number[] {
  return mappersOutside([pid], [vma]).get(objectOf(vma)) ?? [];
}

/**
 * Processes other than `pids` that map the same objects, by object (`objectOf`). Every process is read once, however
 * many objects there are.
 */
export function mappersOutside(
  pids: readonly number[],
  vmas: readonly Pick<Vma, "dev" | "ino">[],
): ReadonlyMap<string, readonly number[]> {
  const found = new Map(vmas.map((vma): [string, number[]] => [objectOf(vma), []]));
  if (found.size === 0) return found;
  const others = readdirSync("/proc").filter((name) => /^\d+$/.test(name) && !pids.includes(Number(name)));
  for (const other of others.map(Number)) {
    const mapped = mapsText(other).matchAll(/^\S+ \S+ \S+ (\S+ \d+) /gm);
    for (const key of new Set(Array.from(mapped, ([, object = ""]) => object))) found.get(key)?.push(other);
  }
  return found;
}

/** Names what a mapping shows: device and inode as maps of any process prints them. */
export function objectOf({ dev, ino }: Pick<Vma, "dev" | "ino">): string {
  return `${dev} ${ino}`;
}

/** A device number `major:minor` in decimal, as maps prints it: both in hexadecimal, two digits at least. */
export function mapsDevice(dev: string): string {
  return dev
    .split(":")
    .map((part) => Number(part).toString(16).padStart(2, "0"))
    .join(":");
}

/** The other way round. */
export function plainDevice(dev: string): string {
  return dev
    .split(":")
    .map((part) => Number.parseInt(part, 16))
    .join(":");
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
    } else {
      const vma = vmas.at(-1);
      if (vma) readDetail(vma, line);
    }
  }
  return vmas;
}

/** A line below the header, `Name: value`; `VmFlags` is the last one. */
function readDetail(vma: Vma, line: string): void {
  if (line.startsWith("KernelPageSize:")) {
    vma.hugePageBytes = Number.parseInt(line.slice(15), 10) * 1024;
  } else if (line.startsWith("ProtectionKey:")) {
    const key = Number.parseInt(line.slice(14), 10);
    if (key !== 0) vma.protectionKey = key;
  } else if (line.startsWith("VmFlags:")) {
    vma.flags.push(...line.slice(8).split(" ").filter(Boolean));
    // Mappings of devices have larger pages too, but nothing to allocate.
    if (!vma.flags.includes("ht")) delete vma.hugePageBytes;
  }
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
  if (path === HUGE_PAGES && facts.deleted && !shared) return "anonymous";
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
