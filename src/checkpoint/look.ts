/** One whole look at a process and everything in it that cannot be saved: taken before the stop, and again in it. */
import type { FileState } from "../state/fd.js";
import { type ProcessFacts, readProcessFacts } from "../tracee/process-facts.js";
import type { FarEnds } from "./far-ends.js";
import { classifyFiles } from "./files.js";
import { type MappedFiles, refusedMappings, sharedWithOthers } from "./mappings.js";
import type { Refusal } from "./refusal.js";
import { refusedOfProcess } from "./target.js";

export interface Look {
  readonly facts: ProcessFacts;
  readonly files: FileState;
  readonly refusals: readonly Refusal[];
}

/** Reads and classifies; mappings come with the identity of their files. Throws errno errors of /proc. */
export function lookAtProcess(pid: number, mappedFiles: MappedFiles, farEnds?: FarEnds): Look {
  const read = readProcessFacts(pid);
  const facts = { ...read, vmas: mappedFiles.identify(pid, read.vmas) };
  const { files, refusals } = classifyFiles(pid, facts.descriptors, farEnds);
  return {
    facts,
    files,
    refusals: [
      ...refusedOfProcess(pid, facts),
      ...refusals,
      ...refusedMappings(facts.vmas),
      ...sharedWithOthers(pid, facts.vmas),
    ],
  };
}
