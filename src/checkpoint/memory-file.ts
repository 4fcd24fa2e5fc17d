/** The memory of one process in the file of its core: which page stands where, and copies of pages to their places. */
import { DATA_OFFSET } from "../core/layout.js";
import { beginCopy, type CopyManner, copyPages, type PageCopy } from "../tracee/memory.js";
import { punchHole } from "../tracee/punch.js";
import type { RangeList, Span } from "../tracee/range-list.js";
import { startWriting } from "./bulk.js";
import type { OutputFile } from "./output.js";
import type { BasePiece } from "./page-base.js";
import { PlaceBook } from "./places.js";
import type { Stash } from "./stash.js";

type Manner = CopyManner & { readonly loose?: boolean };

export class MemoryFile {
  readonly book = new PlaceBook(DATA_OFFSET);
  readonly #output: OutputFile;
  /** Something was copied before. */
  #isOver = false;
  /** Something went into the page cache since the disk was told to begin. */
  #isCached = false;

  constructor(output: OutputFile) {
    this.#output = output;
  }

  get fd(): number {
    return this.#output.fd;
  }

  /** True while nothing is in it. */
  get isFresh(): boolean {
    return !this.#isOver;
  }

  /** The file began as a clone of an earlier core, with these pages in it. */
  adopt(pieces: readonly BasePiece[] | null): void {
    this.book.adopt(pieces ?? []);
    this.#isOver = pieces !== null;
  }

  /** Copies spans of a process now; `loose` where it runs meanwhile. Throws `NativeError`. */
  copy(pid: number, spans: readonly Span[], manner: Manner): void {
    this.book.note(spans, copyPages(pid, ...this.#ready(spans, manner)).checksums);
  }

  /** Begins to; `end` waits for it, throws what it comes to, and takes it down. `copy` may go on meanwhile. */
  begin(pid: number, spans: readonly Span[], manner: Manner): { end(): void } & Disposable {
    const going = beginCopy(pid, ...this.#ready(spans, manner));
    return {
      end: () => this.book.note(spans, going.end().checksums),
      [Symbol.dispose]: () => going[Symbol.dispose](),
    };
  }

  #ready(spans: readonly Span[], manner: Manner): [number, PageCopy] {
    this.book.cover(spans);
    const list = this.book.ranges(spans);
    const way = this.#output.bulk.wayOf(list, this.book.endOffset, manner.gently === true);
    const over = this.#isOver || way.isReserved;
    this.#isOver = true;
    this.#isCached ||= !way.direct && spans.length > 0;
    return [way.fd, { ...manner, ...way, list, over }];
  }

  /** Of so much, and all before, the parts will follow. */
  expect(list: Pick<RangeList, "totalBytes" | "stretches">): void {
    const isReserved = this.#output.bulk.expect(list, this.book.endOffset + list.totalBytes);
    this.#isOver ||= isReserved;
  }

  /** Writes what was stashed. Throws `NativeError`. */
  writeStash({ spans, bytes: stash, placeOf }: Stash, manner: CopyManner): void {
    this.book.cover(spans);
    const list = this.book.ranges(spans, placeOf);
    const options = { ...manner, list, stash, over: this.#isOver };
    this.book.note(spans, copyPages(0, this.fd, options).checksums);
  }

  /** Lets the disk begin with what was copied. */
  startWriting(): void {
    if (this.#isCached) startWriting(this.fd);
    this.#isCached = false;
  }

  /** Gives back the room of copies of pages that are in none of `kept` (in order). */
  punchAllBut(kept: readonly Span[]): void {
    for (const { start, end } of this.book.leftovers(kept)) punchHole(this.fd, start, end - start);
  }
}
