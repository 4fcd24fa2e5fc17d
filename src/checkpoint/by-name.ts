/** Files of a process looked up by the names the kernel gives, as a restore will look for them. */
import { type BigIntStats, lstatSync } from "node:fs";
import { isErrno } from "../errors.js";
import { pathInside } from "../tracee/maps.js";

/** What is under a name; null when there is nothing, or nothing that we may look at, or when it is no path at all. */
export function statByName(pid: number, path: string): BigIntStats | null {
  if (!path.startsWith("/")) return null;
  try {
    return lstatSync(pathInside(pid, path), { bigint: true });
  } catch (error) {
    if (isErrno(error, "ENOENT", "ENOTDIR", "EACCES", "EPERM", "ELOOP", "ENAMETOOLONG")) return null;
    throw error;
  }
}

/** Namespaces, files under a mount and names that are not UTF-8 have names that lead nowhere, or to something else. */
export function isSameFile(pid: number, path: string, ino: bigint): boolean {
  return statByName(pid, path)?.ino === ino;
}
