/** Flags of mappings (madvise, mlock), which take long to read since the kernel counts every page for them. */
import { isErrno } from "../errors.js";
import type { Vma } from "../state/vma.js";
import { readMappings, readMappingsAsKnown } from "../tracee/maps.js";

/**
 * Mappings whose flags are taken for those of now; null when they are to be read, without those that our own tracking
 * gives; undefined when there is no tracking of ours.
 */
export type KnownFlags = readonly Vma[] | null | undefined;

/** The flag of smaps that our own tracking (page-tracker.ts) gives to mappings; another's was refused before. */
const TRACKED = "uw";

/** Mappings as they are without our tracking. Throws errno errors of /proc. */
export function mappingsOf(pid: number): Vma[] {
  return readMappings(pid).map((vma) => ({ ...vma, flags: vma.flags.filter((flag) => flag !== TRACKED) }));
}

/** Mappings of now, as far as `known` goes without reading their flags. Throws errno errors of /proc. */
export function mappingsNow(pid: number, known: KnownFlags): Vma[] {
  if (known === undefined) return readMappings(pid);
  return (known && readMappingsAsKnown(pid, known)) ?? mappingsOf(pid);
}

/**
 * Mappings of now with the flags that they had a while ago, which are compared with those after the stop; all are read
 * where there is a new one. Throws errno errors of /proc.
 */
export function mappingsSince(pid: number, before: readonly Vma[]): Vma[] {
  return readMappingsAsKnown(pid, before) ?? mappingsOf(pid);
}

/** Mappings of a process that may have ended since it was let go: then nothing speaks against what was read before. */
export function mappingsLater(pid: number): Vma[] {
  try {
    return mappingsOf(pid);
  } catch (error) {
    if (isErrno(error, "ENOENT", "ESRCH")) return [];
    throw error;
  }
}
