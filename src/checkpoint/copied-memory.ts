/** The memory of a process as it stands in its core: what the copy (memory-copy.ts) hands to the writer. */
import type { CoreLayout } from "../core/layout.js";
import type { PageRun } from "../state/pages.js";
import type { Vma } from "../state/vma.js";
import type { Span } from "../tracee/range-list.js";

/** Pages next to one another in memory and in one core. */
export interface BasePiece extends Span {
  /** Number of the core in its chain, the whole one first. */
  readonly level: number;
  readonly fileOffset: number;
  /** CRC32C of each page. */
  readonly checksums: Uint32Array;
}

/** Mappings, their places in the file, and runs of pages with their checksums. */
export interface CopiedMemory {
  readonly vmas: Vma[];
  readonly layout: CoreLayout;
  readonly runs: PageRun[];
  /** Bytes of memory that are not zero, and pages stored. */
  readonly bytes: number;
  readonly pages: number;
  /** Pages that stand in earlier cores; none in a whole core. */
  readonly inherited: readonly BasePiece[];
}

/** A copy made in rounds does not add up: memory went a way that rounds do not follow. It is made again in the stop. */
export class CopyGap extends Error {}
