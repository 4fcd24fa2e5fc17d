/**
 * The plan of a delta, made while nobody waits: V8 runs code for the first time many times slower than later, and the first
 * deltas of a large program would wait for that.
 */
import { PAGE_BYTES } from "../state/address.js";
import type { Vma } from "../state/vma.js";
import { type Span, spanBytes } from "../tracee/range-list.js";
import { planMemory } from "./core-plan.js";
import type { PageBase } from "./page-base.js";
import { PlaceBook } from "./places.js";

/** Pages that stand alone, as a program leaves them that writes here and there. */
const PAGES = 16_384;
/** Less than so many pages are soon planned. */
const PAGES_MIN = 4 * PAGES;
/** V8 makes code for what it has seen, and takes it back where it has not seen all: that settles after some times. */
const TIMES = 5;

/** Plans a delta on a whole core as if some pages had been written; what comes of it is of no matter. */
export function rehearseDelta(base: PageBase): void {
  const spans = base.spans;
  const written = pagesAmong(spans);
  if (written.length < PAGES) return;
  const stored = spans.map(({ start, end }) => ({
    address: BigInt(start),
    lengthBytes: end - start,
    sameAsFile: false,
  }));
  for (let time = 0; time < TIMES; time += 1) {
    const book = new PlaceBook(PAGE_BYTES);
    book.cover(written);
    book.ranges(written);
    book.note(written, new Uint32Array(written.length));
    const { runs, delta } = planMemory(book, { vmas: spans.map(vmaOf), stored }, { base, levels: 1 });
    for (const table of [runs, delta?.inherited]) if (table && !Array.isArray(table)) table.encode();
  }
}

/** So many pages, the same number between them; fewer of a small program. */
function pagesAmong(spans: readonly Span[]): Span[] {
  const all = spanBytes(spans) / PAGE_BYTES;
  if (all < PAGES_MIN) return [];
  const step = Math.floor(all / PAGES) * PAGE_BYTES;
  return spans.flatMap(({ start, end }) => {
    const count = Math.ceil((end - start) / step);
    return Array.from({ length: count }, (_, page) => {
      const at = start + page * step;
      return { start: at, end: at + PAGE_BYTES };
    });
  });
}

/** What is seen of a mapping of anonymous memory. */
function vmaOf({ start, end }: Span): Vma {
  const nowhere = { offset: 0n, path: "", deleted: false, dev: "00:00", ino: 0n, file: null };
  const what = { prot: "rw-p", kind: "anonymous" as const, flags: [], guards: [] };
  return { start: BigInt(start), end: BigInt(end), ...what, ...nowhere };
}
