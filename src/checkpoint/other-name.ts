/**
 * Files that were mapped under a name they have no more, but have another one beside it: sem_open(3) of glibc makes a
 * semaphore under a name of its own, maps it, links it to the name it was asked for and removes the first one.
 */
import { lstatSync, readdirSync, statSync } from "node:fs";
import { dirname, join } from "node:path";
import { isErrno } from "../errors.js";
import { formatDevice } from "../host/device-number.js";
import type { Vma } from "../state/vma.js";
import { mapFile, mapsDevice, pathInside } from "../tracee/maps.js";

/** The other name in the same folder; null when there is none. */
export function otherName(pid: number, vma: Vma): string | null {
  const { path, dev, ino } = vma;
  if (!path.startsWith("/") || hasNoName(pid, vma)) return null;
  const folder = dirname(path);
  const inside = pathInside(pid, folder);
  const name = namesIn(inside).find((one) => {
    const stat = lstatSync(join(inside, one), { bigint: true, throwIfNoEntry: false });
    return stat?.isFile() && stat.ino === ino && mapsDevice(formatDevice(stat.dev)) === dev;
  });
  return name === undefined ? null : join(folder, name);
}

/** Saves looking through the folder, where we may ask (CAP_CHECKPOINT_RESTORE). */
function hasNoName(pid: number, vma: Vma): boolean {
  try {
    return statSync(mapFile(pid, vma)).nlink === 0;
  } catch (error) {
    if (isErrno(error, "EPERM", "EACCES", "ENOENT")) return false;
    throw error;
  }
}

function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch (error) {
    if (isErrno(error, "ENOENT", "ENOTDIR", "EACCES", "EPERM")) return [];
    throw error;
  }
}
