/** The plan of a core from what is to be in it and what has been copied: places, runs with checksums, segments. */
import { withAliases } from "../core/alias-segments.js";
import { planCore } from "../core/layout.js";
import { planLoads } from "../core/load-table.js";
import { PAGE_BYTES } from "../state/address.js";
import { RunBytes, RunTable } from "../state/run-table.js";
import type { Vma } from "../state/vma.js";
import type { CopiedMemory } from "./copied-memory.js";
import { aliasesOf } from "./object-contents.js";
import { PageBase } from "./page-base.js";
import type { StoredRange } from "./pages.js";
import { type PlaceBook, ZERO_CHECKSUM } from "./places.js";
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
  const [runs, inherited] = [new RunTable(), new RunBytes()];
  // One for all: there are a hundred thousand of them.
  const row = { lengthBytes: 0, fileOffset: 0, crc32c: 0, tag: 0 };
  let zero = 0;
  base.eachRun((first, end, stretch) => {
    const level = base.levelOf(first);
    row.lengthBytes = (end - first) * PAGE_BYTES;
    row.fileOffset = base.placeOf(first);
    row.crc32c = base.checksumOf(first, end);
    const isOwn = level >= earlier.levels;
    row.tag = isOwn ? Number(stored[stretch]?.sameAsFile === true) : earlier.levels - 1 - level;
    (isOwn ? runs : inherited).add(base.addressOf(first, stretch), row);
    if (isOwn) zero += base.countOf(ZERO_CHECKSUM, first, end);
  });
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
