/**
 * Files of a memory file system that are mapped shared and writable: POSIX shared memory and semaphores (shm_overview(7),
 * sem_overview(7)). They outlive the program, so the core holds them whole, like files of `--files snapshot`.
 */
import { statfsSync } from "node:fs";
import { formatDevice } from "../host/device-number.js";
import { otherUsersOfAll } from "../host/file-users.js";
import { hex } from "../state/address.js";
import type { Vma } from "../state/vma.js";
import { mappersOutside, mapsDevice, objectOf, pathInside } from "../tracee/maps.js";
import { statByName } from "./by-name.js";
import type { Refusal } from "./refusal.js";

/** linux/magic.h */
const TMPFS_MAGIC = 0x0102_1994;

/** True for a mapping through which the program can change a named file in memory. */
export function isSharedMemory(pid: number, vma: Vma): boolean {
  if (vma.kind !== "shared-file" || vma.deleted || vma.file === null || !vma.flags.includes("mw"))
    return false;
  return statfsSync(pathInside(pid, vma.path)).type === TMPFS_MAGIC;
}

/** Refuses what a live process outside the tree of `pids` maps or can write to: it cannot be saved from one side. */
export function refusedSharedMemory(
  pid: number,
  vmas: readonly Vma[],
  pids: readonly number[] = [pid],
): Refusal[] {
  const paths = new Map(vmas.filter((vma) => isSharedMemory(pid, vma)).map((vma) => [vma.path, vma]));
  return [...paths.values()].flatMap((vma) => {
    const stat = statByName(pid, vma.path);
    if (stat === null) return [];
    const id = { dev: formatDevice(stat.dev), ino: stat.ino };
    const users = otherUsersOfAll([id], [...pids, process.pid]).map((user) => user.pid);
    const mapped = { ino: id.ino, dev: mapsDevice(id.dev) };
    const others = [...new Set([...(mappersOutside(pids, [mapped]).get(objectOf(mapped)) ?? []), ...users])];
    if (others.length === 0) return [];
    const what = `shared memory (${vma.path}) that process ${others.join(", ")} uses, too`;
    return [{ kind: "mapping", id: hex(vma.start), what }];
  });
}
