/** Where the unix sockets of a network namespace are bound (unix(7), proc_pid_net(5)). */
import { readFileSync } from "node:fs";
import { isErrno } from "../errors.js";

/** Absolute paths by the inodes of sockets, of the network namespace of a process. */
export function boundPaths(pid: number): ReadonlyMap<bigint, string> {
  try {
    return parseUnixPaths(readFileSync(`/proc/${pid}/net/unix`, "latin1"));
  } catch (error) {
    if (isErrno(error, "ENOENT")) return new Map();
    throw error;
  }
}

/** The seventh column is the inode, the eighth the path, which may hold blanks; both after a line of headings. */
export function parseUnixPaths(text: string): Map<bigint, string> {
  const rows = text.split("\n").slice(1);
  const found = rows.map((row) => /^(?:\S+\s+){6}(\d+) (\/.*)$/.exec(row));
  return new Map(
    found.flatMap((row) => (row === null ? [] : [[BigInt(row[1] ?? 0), row[2] ?? ""] as const])),
  );
}
