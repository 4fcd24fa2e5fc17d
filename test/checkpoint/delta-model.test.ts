/** Chains of plans against a book kept page by page: what each core stores and inherits, whatever was written or given up. */
import { expect, test } from "vitest";
import { baseOf, planMemory } from "../../src/checkpoint/core-plan.js";
import type { PageBase } from "../../src/checkpoint/page-base.js";
import { PlaceBook } from "../../src/checkpoint/places.js";
import { joinChecksums } from "../../src/state/page-checksums.js";
import type { PageRun } from "../../src/state/pages.js";
import { decodeRunTable, RunTable } from "../../src/state/run-table.js";
import type { Span } from "../../src/tracee/range-list.js";
import { vma } from "../core/sample-core.js";
import { randomNumbers } from "../harness/random.js";

const PAGE = 4096;
const PAGES = 700;
const CHAINS = 12;
const CORES = 8;

/** Where a page stands: core and place in pages, and its checksum. */
interface Place {
  readonly level: number;
  readonly place: number;
  readonly crc: number;
}

/** Spans of the pages that `test` is true for. */
function spansOf(test: (page: number) => boolean): Span[] {
  const spans: { start: number; end: number }[] = [];
  for (let page = 0; page < PAGES; page += 1) {
    if (!test(page)) continue;
    const last = spans.at(-1);
    if (last?.end === page * PAGE) last.end += PAGE;
    else spans.push({ start: page * PAGE, end: (page + 1) * PAGE });
  }
  return spans;
}

const pagesOf = (spans: readonly Span[]) =>
  spans.flatMap(({ start, end }) =>
    Array.from({ length: (end - start) / PAGE }, (_, page) => start / PAGE + page),
  );

test("each core stores what was written and inherits the rest, page for page", () => {
  const random = randomNumbers(Number(process.env.CR_TEST_SEED ?? 20261120));
  for (let chain = 0; chain < CHAINS; chain += 1) {
    let base: PageBase | null = null;
    let expected = new Map<number, Place>();
    for (let level = 0; level < CORES; level += 1) {
      const held = new Set(pagesOf(spansOf(() => random(40) > 0)));
      const book = new PlaceBook(PAGE);
      const copied = copySome(book, { random, held, expected, isWhole: level === 0 });
      const next = new Map<number, Place>();
      for (const page of held) {
        const own = copied.get(page);
        next.set(page, own === undefined ? (expected.get(page) as Place) : { ...own, level });
      }
      const stored = spansOf((page) => held.has(page)).map(({ start, end }) => {
        return { address: BigInt(start), lengthBytes: end - start, sameAsFile: false };
      });
      const earlier = base && { base, levels: level };
      const plan = planMemory(book, { vmas: [vma(0n, PAGES)], stored }, earlier);
      const places =
        plan.delta === null ? sorted(next).map(([page, at]) => [page, { ...at, crc: 0 }]) : sorted(next);
      expect(told(plan, level), `chain ${chain}, core ${level}`).toEqual(places);
      base = baseOf(book, plan);
      expected = next;
    }
  }
});

interface Turn {
  readonly random: (end: number) => number;
  readonly held: ReadonlySet<number>;
  readonly expected: ReadonlyMap<number, Place>;
  readonly isWhole: boolean;
}

/** A few rounds of copies: of what is not known yet at least, and of some that is, also of pages that are gone in the end. */
function copySome(
  book: PlaceBook,
  { random, held, expected, isWhole }: Turn,
): Map<number, Omit<Place, "level">> {
  const copied = new Map<number, Omit<Place, "level">>();
  for (let round = 0; round < 3; round += 1) {
    const stretch = random(PAGES);
    const isDue = (page: number) => isWhole || (held.has(page) && !expected.has(page));
    const spans = spansOf(
      (page) =>
        (round === 0 && isDue(page)) || random(9) === 0 || (page >= stretch && page < stretch + random(9)),
    );
    const pages = pagesOf(spans);
    const sums = Uint32Array.from(pages, () => random(2 ** 32));
    book.cover(spans);
    book.note(spans, sums);
    for (const [index, page] of pages.entries()) {
      const [at] = book.placed({ start: page * PAGE, end: (page + 1) * PAGE });
      copied.set(page, { place: (at?.fileOffset ?? 0) / PAGE, crc: sums[index] as number });
    }
  }
  expect(new Set([...copied.values()].map(({ place }) => place)).size).toBe(copied.size);
  return copied;
}

/** Where each page stands by a plan; each checksum is that of the pages it covers. */
function told({ runs, delta }: ReturnType<typeof planMemory>, level: number): [number, Place][] {
  const places = new Map(
    (delta?.base.pieces ?? []).flatMap((piece) =>
      [...piece.checksums].map((crc, page) => {
        const place = piece.fileOffset / PAGE + page;
        return [piece.start / PAGE + page, { level: piece.level, place, crc }] as const;
      }),
    ),
  );
  const found = new Map<number, Place>();
  const add = (run: Omit<PageRun, "sameAsFile">, of: number) => {
    const first = Number(run.address) / PAGE;
    const pages = Array.from({ length: run.lengthBytes / PAGE }, (_, page) => first + page);
    if (delta !== null) {
      expect(run.crc32c).toBe(joinChecksums(Uint32Array.from(pages, (page) => places.get(page)?.crc ?? 0)));
    }
    for (const [index, page] of pages.entries()) {
      expect(found.has(page)).toBe(false);
      // A whole core tells those of runs alone.
      const crc = places.get(page)?.crc ?? 0;
      found.set(page, { level: of, place: run.fileOffset / PAGE + index, crc });
    }
  };
  if (!(runs instanceof RunTable)) for (const run of runs) add(run, level);
  else decodeRunTable(runs.encode(), (address, row) => add({ address, ...row }, level));
  decodeRunTable(delta?.inherited.encode() ?? Buffer.alloc(0), (address, row) =>
    add({ address, ...row }, level - 1 - row.tag),
  );
  if (delta !== null) expect([...places].sort(([a], [b]) => a - b)).toEqual(sorted(found));
  return sorted(found);
}

function sorted(places: ReadonlyMap<number, Place>): [number, Place][] {
  return [...places].sort(([a], [b]) => a - b);
}
