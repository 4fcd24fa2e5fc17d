/** A core read in one go, for callers that only want to know what is in it. */
import { statSync } from "node:fs";
import type { ProcessState } from "../state/process.js";
import { openChain } from "./chain.js";
import type { Segment } from "./elf.js";
import { readState } from "./read-state.js";
import { type CoreOrigin, openCore } from "./reader.js";
import { decodeDeltaNote } from "./recore-decode.js";

export interface Core {
  readonly path: string;
  readonly origin: CoreOrigin;
  /** Size as `ls -l` shows it, and what it takes on disk without holes, in bytes. */
  readonly sizeBytes: number;
  readonly diskBytes: number;
  readonly segments: readonly Segment[];
  readonly state: ProcessState;
  /** Paths of the earlier cores that it builds on, the parent first; none of a whole core. */
  readonly parents: readonly string[];
}

/**
 * Reads headers, notes and state of a core file; its memory stays in the file (`state.runs` says where, and
 * `state.delta` what stands in earlier ones, which are looked up). Throws BAD_CORE, CORE_TRUNCATED, CORE_CORRUPT,
 * CORE_UNREADABLE, FORMAT_VERSION, FOREIGN_CORE, PARENT_MISSING, PARENT_CHANGED, PARENT_OTHER.
 */
export function readCore(path: string): Core {
  using core = openCore(path);
  const { origin, fileBytes: sizeBytes, diskBytes, segments } = core;
  const state = readState(core);
  using chain = openChain(path, state);
  const parents = chain.heritage.map((one) => one.core.path);
  return { path, origin, sizeBytes, diskBytes, segments, state, parents };
}

/** File names of the cores that the one at `path` builds on; none of a whole core, or of a folder. As `openCore`. */
export function readAncestors(path: string): readonly string[] {
  if (statSync(path, { throwIfNoEntry: false })?.isDirectory()) return [];
  using core = openCore(path);
  return decodeDeltaNote(core.notes, path)?.ancestors.map(({ name }) => name) ?? [];
}
