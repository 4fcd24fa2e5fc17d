/** A core read in one go, for callers that only want to know what is in it. */
import type { ProcessState } from "../state/process.js";
import type { Segment } from "./elf.js";
import { readState } from "./read-state.js";
import { type CoreOrigin, openCore } from "./reader.js";

export interface Core {
  readonly path: string;
  readonly origin: CoreOrigin;
  /** Size as `ls -l` shows it, and what it takes on disk without holes, in bytes. */
  readonly sizeBytes: number;
  readonly diskBytes: number;
  readonly segments: readonly Segment[];
  readonly state: ProcessState;
}

/**
 * Reads headers, notes and state of a core file; its memory stays in the file (`state.runs` says where). Throws
 * BAD_CORE, CORE_TRUNCATED, CORE_CORRUPT, CORE_UNREADABLE, FORMAT_VERSION, FOREIGN_CORE.
 */
export function readCore(path: string): Core {
  using core = openCore(path);
  const { origin, fileBytes: sizeBytes, diskBytes, segments } = core;
  return { path, origin, sizeBytes, diskBytes, segments, state: readState(core) };
}
