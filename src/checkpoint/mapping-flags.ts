/** Flags of mappings (madvise, mlock), which take long to read since the kernel counts every page for them. */
import { isErrno } from "../errors.js";
import type { Vma } from "../state/vma.js";
import type { CountedList } from "../tracee/counted-list.js";
import { beginMappings, haveFlagsOf, readMappings, readMappingsAsKnown } from "../tracee/maps.js";

/**
 * Mappings whose flags are taken for those of now until they are compared (FlagsCheck); null when they are to be read, without those that our own tracking
 * gives; undefined when there is no tracking of ours.
 */
export type KnownFlags = readonly Vma[] | null | undefined;

/** The flag of smaps that our own tracking (page-tracker.ts) gives to mappings; another's was refused before. */
const TRACKED = "uw";

/** Mappings as they are without our tracking. Throws errno errors of /proc. */
function mappingsOf(pid: number, begun?: CountedList): Vma[] {
  const withoutOurs = (vma: Vma) => ({ ...vma, flags: vma.flags.filter((flag) => flag !== TRACKED) });
  return readMappings(pid, begun).map(withoutOurs);
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

/**
 * Whether flags that were taken for those of a stop were: compared with those after it, which are read while something
 * else is done.
 */
export class FlagsCheck implements Disposable {
  readonly #lists = new Map<number, CountedList>();
  readonly #known: ReadonlyMap<number, readonly Vma[]>;

  /** Of processes that run again, by what was taken to be so. */
  constructor(known: ReadonlyMap<number, readonly Vma[]>) {
    this.#known = known;
    for (const [pid, vmas] of known) this.#lists.set(pid, beginMappings(pid, vmas));
  }

  /** Waits for them. Of a process that has ended since nothing speaks against what was read before. */
  holds(): boolean {
    return [...this.#known].every(([pid, known]) => haveFlagsOf(known, this.#later(pid)));
  }

  #later(pid: number): Vma[] {
    try {
      return mappingsOf(pid, this.#lists.get(pid));
    } catch (error) {
      if (isErrno(error, "ENOENT", "ESRCH")) return [];
      throw error;
    }
  }

  [Symbol.dispose](): void {
    for (const list of this.#lists.values()) list[Symbol.dispose]();
  }
}
