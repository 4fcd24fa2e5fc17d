/**
 * The memory of one process on its way into the core, in three parts: rounds while the process runs, what is left in
 * the stop, and the writing of that once it runs again. Without tracking there are no rounds and all is left.
 */
import { withAliases } from "../core/alias-segments.js";
import { DATA_OFFSET, planCore } from "../core/layout.js";
import { PAGE_BYTES } from "../state/address.js";
import type { Vma } from "../state/vma.js";
import type { FrozenCopy } from "../tracee/frozen-copy.js";
import { type CopyManner, copyPages } from "../tracee/memory.js";
import { isNativeError } from "../tracee/native-error.js";
import type { PageTracker } from "../tracee/page-tracker.js";
import { Pagemap } from "../tracee/pagemap.js";
import { punchHole } from "../tracee/punch.js";
import { type Span, spanBytes } from "../tracee/range-list.js";
import { threadsOf } from "../tracee/tasks.js";
import { startWriting } from "./bulk.js";
import type { CopiedMemory } from "./copied-memory.js";
import { changed, OtherProgram } from "./freeze.js";
import { aliasesOf } from "./object-contents.js";
import type { OutputFile } from "./output.js";
import type { Pace } from "./pace.js";
import { planPages, type StoredRange, together } from "./pages.js";
import type { Phases } from "./phases.js";
import { PlaceBook } from "./places.js";
import { clip, isForked, isHeld, isTracked, merge, ownPages, spanOf } from "./spans.js";
import { Stash, stashBytesFor } from "./stash.js";
import { attempt } from "./target.js";

/** What of a plan is this member's to store: several of a tree may have it (stored-once.ts). To be asked once. */
export type Share = (vmas: readonly Vma[], stored: readonly StoredRange[]) => StoredRange[];

export class MemoryCopy {
  readonly #pid: number;
  readonly #output: OutputFile;
  readonly pace: Pace;
  readonly #book = new PlaceBook(DATA_OFFSET);
  #tracker: PageTracker | null = null;
  #stash = new Stash(0);
  /** Copied from a frozen copy of the process, once it runs again. */
  #fork: FrozenCopy | null = null;
  #forked: Span[] = [];
  /** What goes into the core of memory that others may reach too. */
  shown: readonly StoredRange[] = [];
  #later: (() => { vmas: Vma[]; stored: StoredRange[] }) | null = null;
  /** Something was copied before. */
  #isOver = false;

  constructor(pid: number, output: OutputFile, pace: Pace) {
    this.#pid = pid;
    this.#output = output;
    this.pace = pace;
  }

  /** Tracks the private mappings of the running process from now on. */
  track(tracker: PageTracker, vmas: readonly Vma[]): void {
    this.#tracker = tracker;
    for (const vma of vmas.filter(isTracked)) tracker.register(vma);
  }

  /** Whether rounds are possible. */
  get isTracking(): boolean {
    return this.#tracker !== null;
  }

  /**
   * One round: copies what was written since the last one, in the first round everything; its bytes. `vmas` are the
   * mappings of this moment: new ones are tracked too. Throws `NativeError` (ESRCH gone, ENOSPC, …).
   */
  round(vmas: readonly Vma[]): { readonly copiedBytes: number; readonly scannedMs: number } {
    const tracker = this.#tracker;
    if (tracker === null) throw new RangeError("nothing is tracked");
    const untracked = this.#pages("untracked");
    const fresh = vmas.filter(
      (vma) => isTracked(vma) && clip(untracked, [vma]).length > 0 && tracker.register(vma),
    );
    const scannedMs = performance.now();
    const written = this.#pages("protect");
    // Pages that were moved to a new mapping may be marked as clean there: they are copied whatever is said of them.
    const spans = merge(fresh.length === 0 ? written : [...written, ...ownPages(fresh, tracker.census())]);
    this.#copy(this.#pid, spans, { ...this.pace.running, loose: true });
    startWriting(this.#output.fd);
    return { copiedBytes: spanBytes(spans), scannedMs };
  }

  /** Tracked pages; TARGET_CHANGED when the memory that is tracked is gone and the process is not. */
  #pages(kind: "written" | "protect" | "untracked"): Span[] {
    try {
      return this.#tracker?.pages(kind) ?? [];
    } catch (error) {
      const isGone = !isNativeError(error, "ESRCH") || threadsOf(this.#pid).length === 0;
      throw isGone ? error : changed(this.#pid, new OtherProgram());
    }
  }

  /** Copies spans into the file now. */
  #copy(pid: number, spans: readonly Span[], manner: CopyManner & { readonly loose?: boolean }): void {
    this.#book.cover(spans);
    const list = this.#book.ranges(spans);
    const fd = this.#output.bulkFd(list, manner.gently === true);
    const { checksums } = copyPages(pid, fd, { ...manner, list, over: this.#isOver });
    this.#book.note(spans, checksums);
    this.#isOver = true;
  }

  /**
   * Makes room for what will be left, before the stop: memory that was never touched costs time in it. What does not
   * fit goes into the file at once. At most `maxBytes`; the bytes of it.
   */
  prepare(expectedBytes: number, maxBytes: number): number {
    this.#stash = new Stash(Math.min(maxBytes, stashBytesFor(expectedBytes)));
    return this.#stash.totalBytes;
  }

  /** False when what is tracked is the memory of a program that is gone: an exec gives another one. */
  isOfThis(): boolean {
    return this.#tracker === null || this.#tracker.isAlive();
  }

  /**
   * Copies what is left of the stopped process; with a frozen copy only what that does not have. Throws `NativeError`,
   * TARGET_CHANGED when it is another program by now.
   */
  copyInStop(
    vmas: readonly Vma[],
    { fork, phases, share }: { fork: FrozenCopy | null; phases: Phases; share: Share },
  ): void {
    this.#fork = fork;
    const pid = this.#pid;
    // Not before the stop: an exec would leave us with the page table of a program that is gone.
    using pagemap = attempt(pid, () => new Pagemap(pid));
    const tracker = this.#tracker;
    if (tracker === null) {
      const here = fork === null ? vmas : vmas.filter((vma) => !isForked(vma));
      const planned = shared(planPages(pid, here, pagemap), share);
      this.#later = () => (fork === null ? planned : together(this.#planFork(fork, vmas), planned));
      phases.end("scan");
      this.shown = planned.stored;
      this.#take(planned.stored.map(spanOf));
      return;
    }
    if (!this.isOfThis()) throw changed(pid, new OtherProgram());
    const apart = { spansOf: pagemap.spansApart.bind(pagemap) };
    const rest = vmas.filter((vma) => !isTracked(vma));
    const others = shared(planPages(pid, rest, apart), share);
    this.shown = others.stored;
    const own = vmas.filter(isTracked);
    const gone = this.#book.gone().filter((span) => isHeld(pagemap, span));
    const untracked = clip(this.#pages("untracked"), own);
    const written = this.#pages("written");
    const census = tracker.census();
    phases.end("scan");
    this.#divide(merge([...written, ...untracked, ...gone, ...others.stored.map(spanOf)]), vmas);
    this.#later = () => together(planPages(pid, own, { ...census, tight: true }), others);
  }

  /** What the frozen copy holds is asked of it. */
  #planFork({ pid }: FrozenCopy, vmas: readonly Vma[]): ReturnType<typeof planPages> {
    using pagemap = new Pagemap(pid);
    const planned = planPages(pid, vmas.filter(isForked), pagemap);
    this.#forked = planned.stored.map(spanOf);
    return planned;
  }

  /** What a frozen copy has is left to it. */
  #divide(spans: readonly Span[], vmas: readonly Vma[]): void {
    if (this.#fork === null) {
      this.#take(spans);
      return;
    }
    this.#forked = clip(spans, vmas.filter(isForked));
    this.#take(
      clip(
        spans,
        vmas.filter((vma) => !isForked(vma)),
      ),
    );
  }

  /** Into the stash as far as it reaches, the rest into the file. */
  #take(spans: readonly Span[]): void {
    const { standing } = this.pace;
    const rest = this.#stash.take(this.#pid, spans, standing);
    if (rest.length > 0) this.#copy(this.#pid, rest, standing);
  }

  /** First byte behind all that has a place by now, for what else is written in the stop. */
  get endOffset(): number {
    return this.#book.endOffset;
  }

  /** Ends the tracking, once the process runs again. */
  untrack(): void {
    this.#tracker?.[Symbol.dispose]();
    this.#tracker = null;
  }

  /** Writes what was stashed and plans the core; `endOffset` is behind all that was written beside. */
  finish(endOffset: number): CopiedMemory {
    if (this.#later === null) throw new RangeError("nothing was copied in the stop");
    this.#book.skipTo(endOffset);
    const { vmas, stored } = this.#later();
    if (this.#fork !== null) this.#copy(this.#fork.pid, this.#forked, this.pace.later);
    this.#fork?.[Symbol.dispose]();
    this.#fork = null;
    this.#writeStash();
    this.#book.cover(stored.map(spanOf));
    const placed = stored.flatMap((range) => this.#placesOf(range));
    for (const { start, end } of this.#book.leftovers(stored.map(spanOf))) {
      punchHole(this.#output.fd, start, end - start);
    }
    const planned = planCore(vmas, placed);
    const layout = { ...planned, segments: withAliases(planned.segments, aliasesOf(vmas)) };
    const runs = layout.runs.map((run) => ({ ...run, crc32c: this.#book.checksum(spanOf(run)) }));
    const zero = this.#book.zeroPages(runs.map(spanOf));
    const pages = runs.reduce((sum, run) => sum + run.lengthBytes, 0) / PAGE_BYTES;
    return { vmas, layout, runs, pages, bytes: (pages - zero) * PAGE_BYTES };
  }

  #placesOf(range: StoredRange): (StoredRange & { readonly fileOffset: number })[] {
    return this.#book.placed(spanOf(range)).map(({ start, end, fileOffset }) => ({
      ...range,
      address: BigInt(start),
      lengthBytes: end - start,
      fileOffset,
    }));
  }

  #writeStash(): void {
    const { spans } = this.#stash;
    this.#book.cover(spans);
    const list = this.#book.ranges(spans, this.#stash.placeOf);
    const options = { ...this.pace.later, list, over: this.#isOver, stash: this.#stash.bytes };
    this.#book.note(spans, copyPages(0, this.#output.fd, options).checksums);
    this.#stash = new Stash(0);
  }

  [Symbol.dispose](): void {
    this.#fork?.[Symbol.dispose]();
    this.#fork = null;
    this.untrack();
  }
}

function shared({ vmas, stored }: ReturnType<typeof planPages>, share: Share): ReturnType<typeof planPages> {
  return { vmas, stored: share(vmas, stored) };
}
