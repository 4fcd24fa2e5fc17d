/**
 * The limit of open files of a program whose core does not record it. The newborn has a higher one than who called cr:
 * Node raises its own, and native/spawn.c that of the newborn, for the descriptors that it inherits at high numbers.
 */
import type { Rlimit } from "../state/process.js";
import { readLimits } from "../tracee/limits.js";

const RLIMIT_NOFILE = 7;

/** What a program started by the caller would have: as the parent of cr; none where that cannot be seen. */
export function callersOpenFiles(parent: number = process.ppid): Rlimit[] {
  const own = openFilesOf(process.pid);
  const callers = openFilesOf(parent);
  if (own === undefined || callers === undefined) return [];
  return [{ ...own, soft: callers.soft < own.hard ? callers.soft : own.hard }];
}

function openFilesOf(pid: number): Rlimit | undefined {
  try {
    return readLimits(pid).find(({ resource }) => resource === RLIMIT_NOFILE);
  } catch {
    // A parent outside of our pid namespace has no number, and one of another user may be hidden.
    return undefined;
  }
}
