/** What /proc tells of a process's user and mount namespaces: its map of users, and its mounts. */
import { readFileSync } from "node:fs";

/** One line of /proc/PID/mountinfo (proc_pid_mountinfo(5)), as far as it says which files are where. */
export interface Mount {
  readonly id: number;
  readonly parent: number;
  readonly device: string;
  /** The folder of the file system that is mounted, and the place; blanks and the like as `\040`. */
  readonly root: string;
  readonly at: string;
  readonly type: string;
  /** Options of this mount, such as `ro,nosuid`, and how it hears of others: `shared:N`, `master:N`, …. */
  readonly options: string;
  readonly tags: readonly string[];
  /** Options of the file system. */
  readonly data: string;
}

/** The mounts a process sees, in the order in which they were made. */
export function readMounts(pid: number | "self"): Mount[] {
  return parseMounts(readFileSync(`/proc/${pid}/mountinfo`, "latin1"));
}

/** Parses /proc/PID/mountinfo: optional fields end at a lone hyphen. */
export function parseMounts(text: string): Mount[] {
  const lines = text.split("\n").filter((line) => line !== "");
  return lines.map((line) => {
    const [id, parent, device = "", root = "", at = "", options = "", ...rest] = line.split(" ");
    const end = rest.indexOf("-");
    const [type = "", , data = ""] = rest.slice(end + 1);
    const numbers = { id: Number(id), parent: Number(parent) };
    return { ...numbers, device, root, at, type, options, tags: rest.slice(0, end), data };
  });
}

/** Whether it sees the mounts that we see, but for a /proc of its own on top. */
export function hasOurMounts(pid: number): boolean {
  const theirs = readMounts(pid);
  const top = theirs.findLastIndex(({ at, type }) => at === "/proc" && type === "proc");
  const text = (mounts: readonly Mount[]) => mounts.map(({ device, root, at }) => `${device} ${root} ${at}`);
  return text(theirs.toSpliced(top, 1)).sort().join("\n") === text(readMounts("self")).sort().join("\n");
}

/** Rows of /proc/PID/uid_map or gid_map: first id inside, first id as we see it, how many. */
export function readUserMap(pid: number, which: "uid" | "gid" = "uid"): number[][] {
  const lines = readFileSync(`/proc/${pid}/${which}_map`, "latin1").split("\n");
  return lines.filter((line) => line.trim() !== "").map((line) => line.trim().split(/\s+/).map(Number));
}
