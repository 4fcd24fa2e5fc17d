/** /proc/PID/status, stat, limits and friends, parsed (proc_pid_status(5), proc_pid_stat(5)). */
import { readFileSync, readlinkSync, statSync } from "node:fs";
import { isErrno } from "../errors.js";
import type { Credentials } from "../state/credentials.js";
import type { MmBounds } from "../state/vma.js";
import { readProcFile } from "./proc-file.js";

/** The fields of /proc/PID/stat that are used, by name. */
export interface ProcStat {
  readonly comm: string;
  readonly state: string;
  readonly ppid: number;
  readonly pgid: number;
  readonly sid: number;
  /** Device number of the controlling terminal as the kernel packs it, 0 for none, and its foreground group. */
  readonly ttyNumber: number;
  readonly foregroundGroup: number;
  readonly flags: number;
  readonly threads: number;
  readonly startTicks: bigint;
  /** What its parent gets when it ends. */
  readonly exitSignal: number;
  /** Of one that has ended, as wait(2) tells it; 0 where we may not look. */
  readonly exitCode: number;
  readonly mm: Omit<MmBounds, "brk">;
}

/** Parses /proc/PID/stat; the name may hold blanks and brackets, so it ends at the last one. */
export function parseStat(text: string): ProcStat {
  const open = text.indexOf("(");
  const close = text.lastIndexOf(")");
  const rest = text
    .slice(close + 2)
    .trim()
    .split(" ");
  /** Field numbers as in the man page, from 3 on. */
  const field = (number: number): string => rest[number - 3] ?? "0";
  const word = (number: number): bigint => BigInt(field(number));
  return {
    comm: text.slice(open + 1, close),
    state: field(3),
    ppid: Number(field(4)),
    pgid: Number(field(5)),
    sid: Number(field(6)),
    ttyNumber: Number(field(7)),
    foregroundGroup: Math.max(0, Number(field(8))),
    flags: Number(field(9)),
    threads: Number(field(20)),
    startTicks: word(22),
    exitSignal: Number(field(38)),
    exitCode: Number(field(52)),
    mm: {
      startCode: word(26),
      endCode: word(27),
      startStack: word(28),
      startData: word(45),
      endData: word(46),
      startBrk: word(47),
      argStart: word(48),
      argEnd: word(49),
      envStart: word(50),
      envEnd: word(51),
    },
  };
}

/** Reads and parses /proc/PID/stat. Throws the errno error of the read (ENOENT, ESRCH: gone). */
export function readStat(pid: number): ProcStat {
  return parseStat(readProcFile(`/proc/${pid}/stat`));
}

/** /proc/PID/status, or that of one of its threads, as a map of its lines. */
export function readStatus(pid: number, tid?: number): ReadonlyMap<string, string> {
  const folder = tid === undefined ? `/proc/${pid}` : `/proc/${pid}/task/${tid}`;
  return parseStatus(readProcFile(`${folder}/status`));
}

/** Lines `name:<blank>value`, by name. */
export function parseStatus(text: string): ReadonlyMap<string, string> {
  const lines = new Map<string, string>();
  for (let at = 0; at < text.length; ) {
    const newline = text.indexOf("\n", at);
    const end = newline < 0 ? text.length : newline;
    const colon = text.indexOf(":", at);
    if (colon >= 0 && colon < end) lines.set(text.slice(at, colon), text.slice(colon + 1, end).trim());
    at = end + 1;
  }
  return lines;
}

/** uid, gid, groups and capabilities out of a status map; securebits come from inside the process. */
export function credentialsOf(status: ReadonlyMap<string, string>, securebits: number): Credentials {
  const four = (key: string) => {
    const [real = 0, effective = 0, saved = 0, fs = 0] = numbers(status.get(key));
    return { real, effective, saved, fs };
  };
  const mask = (key: string) => BigInt(`0x${status.get(key) ?? "0"}`);
  return {
    uid: four("Uid"),
    gid: four("Gid"),
    groups: numbers(status.get("Groups")),
    capabilities: {
      inheritable: mask("CapInh"),
      permitted: mask("CapPrm"),
      effective: mask("CapEff"),
      bounding: mask("CapBnd"),
      ambient: mask("CapAmb"),
    },
    securebits,
  };
}

function numbers(text = ""): number[] {
  return text
    .split(/\s+/)
    .filter((part) => part !== "")
    .map(Number);
}

let ownLinks: ReadonlyMap<string, string> | null = null;

/** Our own namespaces, which stay what they are. */
export function ownNamespaces(): ReadonlyMap<string, string> {
  ownLinks ??= namespaceLinks("self");
  return ownLinks;
}

/** What was read of processes that stand; null while they run. */
let standing: Map<number, ReadonlyMap<string, string>> | null = null;

/** Until it is disposed of, namespaces and root folders are read once: nobody leaves one while he stands. */
export function whileAllStand(): Disposable {
  standing = new Map();
  return {
    [Symbol.dispose]: () => {
      standing = null;
    },
  };
}

/** One of them. */
export function namespaceLink(pid: number | "self", kind: string): string {
  return namespaceLinks(pid).get(kind) ?? "";
}

/** The namespaces of a process but that of time, kind to `kind:[inode]`, and its `root` folder as `dev:inode`. */
export function namespaceLinks(pid: number | "self"): ReadonlyMap<string, string> {
  const known = standing?.get(Number(pid));
  if (known !== undefined) return known;
  const kinds = ["mnt", "pid", "net", "ipc", "uts", "user", "cgroup"];
  const links = new Map(kinds.map((kind) => [kind, readlinkSync(`/proc/${pid}/ns/${kind}`)]));
  const { dev, ino } = statSync(`/proc/${pid}/root/.`, { bigint: true });
  links.set("root", `${dev}:${ino}`);
  if (pid !== "self") standing?.set(pid, links);
  return links;
}

/** How often a process was given a CPU (third number of /proc/PID/schedstat); -1 where the kernel does not count. */
export function readSlices(pid: number): number {
  try {
    const [, , slices] = readFileSync(`/proc/${pid}/schedstat`, "latin1").trim().split(" ");
    return Number(slices);
  } catch (error) {
    if (isErrno(error, "ENOENT")) return -1;
    throw error;
  }
}
