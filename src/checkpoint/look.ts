/** One whole look at a process and everything in it that cannot be saved: taken before the stop, and again in it. */
import type { FileState } from "../state/fd.js";
import type { SoftError } from "../state/soft-error.js";
import type { Vma } from "../state/vma.js";
import { readMappings, readMappingsAsKnown } from "../tracee/maps.js";
import { type ProcessFacts, readProcessFacts } from "../tracee/process-facts.js";
import type { FarEnds } from "./far-ends.js";
import { classifyFiles } from "./files.js";
import { lookAtObjects } from "./mapped-objects.js";
import { type MappedFiles, refusedMappings, sharedWithOthers } from "./mappings.js";
import type { Refusal } from "./refusal.js";
import { refusedThreads } from "./refused-threads.js";
import { refusedSharedMemory } from "./shared-memory.js";
import { refusedOfProcess } from "./target.js";

export interface Look {
  readonly facts: ProcessFacts;
  readonly files: FileState;
  readonly refusals: readonly Refusal[];
  /** What of it can only be saved in part. */
  readonly softErrors: readonly SoftError[];
}

/** Looks at a running process are repeated so often when something is refused. */
const LOOKS_MAX = 3;

/**
 * Looks at a process that runs on meanwhile. It may delete a file between two readings of one descriptor: what is
 * refused only once was on its way, so a refusal is looked at again.
 */
export function lookBeforeStop(look: () => Look): Look {
  let found = look();
  for (let looks = 1; looks < LOOKS_MAX && found.refusals.length > 0; looks += 1) found = look();
  return found;
}

/** What a look goes by; `known` are mappings whose flags are taken for those of now (maps.ts). */
export interface Looking {
  readonly farEnds?: FarEnds;
  readonly known?: readonly Vma[] | null;
}

/** The flag of smaps that our own tracking (page-tracker.ts) gives to mappings; another's was refused before. */
const TRACKED = "uw";

/** Mappings as they are without our tracking. */
export function mappingsOf(pid: number): Vma[] {
  return readMappings(pid).map((vma) => ({ ...vma, flags: vma.flags.filter((flag) => flag !== TRACKED) }));
}

/** Reads and classifies; mappings come with the identity of their files. Throws errno errors of /proc. */
export function lookAtProcess(pid: number, mappedFiles: MappedFiles, { farEnds, known }: Looking = {}): Look {
  const asKnown = () => (known ? readMappingsAsKnown(pid, known) : null);
  const read = readProcessFacts(pid, () =>
    known === undefined ? readMappings(pid) : (asKnown() ?? mappingsOf(pid)),
  );
  const objects = lookAtObjects(mappedFiles.identify(pid, read.vmas), { pid, open: read.descriptors });
  const facts = { ...read, vmas: [...objects.vmas] };
  const { files, refusals } = classifyFiles(pid, facts.descriptors, farEnds);
  return {
    facts,
    files: { ...files, mapped: objects.mapped, segments: objects.segments },
    softErrors: objects.softErrors,
    refusals: [
      ...refusedThreads(pid),
      ...refusedOfProcess(pid, facts),
      ...refusals,
      ...refusedMappings(facts.vmas),
      ...objects.refusals,
      ...refusedSharedMemory(pid, facts.vmas),
      ...sharedWithOthers(pid, facts.vmas),
    ],
  };
}
