/** The memory of a process as it stands in its core: what the copy (memory-copy.ts) hands to the writer. */
import type { CoreLayout } from "../core/layout.js";
import type { LoadTable } from "../core/load-table.js";
import type { PageRun } from "../state/pages.js";
import type { RunTable } from "../state/run-table.js";
import type { Vma } from "../state/vma.js";
import type { PageBase } from "./page-base.js";

/** Mappings, their places in the file, and runs of pages with their checksums. */
export interface CopiedMemory {
  readonly vmas: Vma[];
  /** Of a delta in tables, of which there are none in a whole core. */
  readonly segments: CoreLayout["segments"] | LoadTable;
  readonly runs: PageRun[] | RunTable;
  /** Bytes of memory that are not zero, and pages stored. */
  readonly bytes: number;
  readonly pages: number;
  readonly delta: DeltaMemory | null;
}

/** What makes a core a delta. */
export interface DeltaMemory {
  /** Pages that stand in earlier cores, with the ancestor, the parent being 0. */
  readonly inherited: RunTable;
  /** Where all pages stand, those of this core among them, as the next one in its chain. */
  readonly base: PageBase;
}
