/** The memory of a process as it stands in its core: what the copy (memory-copy.ts) hands to the writer. */
import type { CoreLayout } from "../core/layout.js";
import type { PageRun } from "../state/pages.js";
import type { Vma } from "../state/vma.js";

/** Mappings, their places in the file, and runs of pages with their checksums. */
export interface CopiedMemory {
  readonly vmas: Vma[];
  readonly layout: CoreLayout;
  readonly runs: PageRun[];
  /** Bytes of memory that are not zero, and pages stored. */
  readonly bytes: number;
  readonly pages: number;
}
