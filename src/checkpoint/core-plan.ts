/** The plan of a core from what is to be in it and what has been copied: places, runs with checksums, segments. */
import { withAliases } from "../core/alias-segments.js";
import { planCore } from "../core/layout.js";
import { PAGE_BYTES } from "../state/address.js";
import type { Vma } from "../state/vma.js";
import type { Span } from "../tracee/range-list.js";
import type { BasePiece, CopiedMemory } from "./copied-memory.js";
import { aliasesOf } from "./object-contents.js";
import { PageBase } from "./page-base.js";
import type { StoredRange } from "./pages.js";
import type { PlaceBook } from "./places.js";
import { spanOf } from "./spans.js";

/** What is to be in the core; `base` is where pages stand that were not copied because nobody wrote them. */
export interface Planned {
  readonly vmas: Vma[];
  readonly stored: readonly StoredRange[];
  readonly base: PageBase | null;
}

/** Plans the core. CopyGap where a page is neither copied nor in the base. */
export function planMemory(book: PlaceBook, { vmas, stored, base }: Planned): CopiedMemory {
  if (base === null) book.cover(stored.map(spanOf));
  const placed = stored.flatMap((range) => placesOf(book, range));
  const planned = planCore(vmas, placed);
  const layout = { ...planned, segments: withAliases(planned.segments, aliasesOf(vmas)) };
  const runs = layout.runs.map((run) => ({ ...run, crc32c: book.checksum(spanOf(run)) }));
  const zero = book.zeroPages(runs.map(spanOf));
  const pages = runs.reduce((sum, run) => sum + run.lengthBytes, 0) / PAGE_BYTES;
  const inherited = base === null ? [] : stored.flatMap((range) => inheritedOf(book, base, spanOf(range)));
  return { vmas, layout, runs, pages, bytes: (pages - zero) * PAGE_BYTES, inherited };
}

function placesOf(book: PlaceBook, range: StoredRange): (StoredRange & { readonly fileOffset: number })[] {
  return book.placed(spanOf(range)).map(({ start, end, fileOffset }) => ({
    ...range,
    address: BigInt(start),
    lengthBytes: end - start,
    fileOffset,
  }));
}

/** What of a span has no place in this core. */
function inheritedOf(book: PlaceBook, base: PageBase, span: Span): BasePiece[] {
  const pieces: BasePiece[] = [];
  let at = span.start;
  for (const { start, end } of [...book.placed(span), { start: span.end, end: span.end }]) {
    if (start > at) pieces.push(...base.within({ start: at, end: start }));
    at = end;
  }
  return pieces;
}

/** What the core of this plan is to the next checkpoint, as the core of that number in its chain. */
export function baseOf(book: PlaceBook, { runs, inherited }: CopiedMemory, level: number): PageBase {
  const own = runs.flatMap((run) =>
    book.placed(spanOf(run)).map((piece) => ({ ...piece, level, checksums: book.checksums(piece) })),
  );
  return new PageBase([...own, ...inherited]);
}
