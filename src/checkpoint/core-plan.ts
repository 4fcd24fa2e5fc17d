/** The plan of a core from what is to be in it and what has been copied: places, runs with checksums, segments. */
import { withAliases } from "../core/alias-segments.js";
import { planCore } from "../core/layout.js";
import { planLoads } from "../core/load-table.js";
import { PAGE_BYTES } from "../state/address.js";
import { RunTable } from "../state/run-table.js";
import type { Vma } from "../state/vma.js";
import type { CopiedMemory } from "./copied-memory.js";
import { tablesOf } from "./delta-tables.js";
import { aliasesOf } from "./object-contents.js";
import { PageBase } from "./page-base.js";
import type { StoredRange } from "./pages.js";
import type { PlaceBook } from "./places.js";
import { spanOf } from "./spans.js";

/** What is to be in the core. */
export interface Planned {
  readonly vmas: Vma[];
  readonly stored: readonly StoredRange[];
}

/** Where pages stand that were not copied because nobody wrote them, in so many earlier cores. */
export interface Earlier {
  readonly base: PageBase;
  readonly levels: number;
}

/** Plans the core, on its own or as a delta. CopyGap where a page is neither copied nor in an earlier core. */
export function planMemory(book: PlaceBook, planned: Planned, earlier: Earlier | null): CopiedMemory {
  if (earlier !== null) {
    const delta = planDelta(book, planned, earlier);
    if (delta !== null) return delta;
  }
  const { vmas, stored } = planned;
  book.cover(stored.map(spanOf));
  const placed = stored.flatMap((range) => placesOf(book, range));
  const layout = planCore(vmas, placed);
  const runs = layout.runs.map((run) => ({ ...run, crc32c: book.checksum(spanOf(run)) }));
  const zero = book.zeroPages(runs.map(spanOf));
  const pages = runs.reduce((sum, run) => sum + run.lengthBytes, 0) / PAGE_BYTES;
  const segments = withAliases(layout.segments, aliasesOf(vmas));
  return { vmas, segments, runs, pages, bytes: (pages - zero) * PAGE_BYTES, delta: null };
}

function placesOf(book: PlaceBook, range: StoredRange): (StoredRange & { readonly fileOffset: number })[] {
  return book.placed(spanOf(range)).map(({ start, end, fileOffset }) => ({
    ...range,
    address: BigInt(start),
    lengthBytes: end - start,
    fileOffset,
  }));
}

/** Null when all pages are in the book, so that the core builds on no other. */
function planDelta(book: PlaceBook, { vmas, stored }: Planned, earlier: Earlier): CopiedMemory | null {
  const base = PageBase.over(stored.map(spanOf));
  base.inherit(earlier.base);
  base.lay(book, earlier.levels);
  const { runs, inherited, zero } = tablesOf(base, stored, earlier.levels);
  if (inherited.count === 0) return null;
  const pages = runs.totalBytes / PAGE_BYTES;
  const segments = planLoads(vmas, runs, aliasesOf(vmas));
  return { vmas, segments, runs, pages, bytes: (pages - zero) * PAGE_BYTES, delta: { inherited, base } };
}

/** What the core of this plan is to the next checkpoint; a whole one is the first of its chain. */
export function baseOf(book: PlaceBook, { runs, delta }: CopiedMemory): PageBase {
  if (delta !== null) return delta.base;
  const base = PageBase.over(runs instanceof RunTable ? [] : runs.map(spanOf));
  base.lay(book, 0);
  return base;
}
