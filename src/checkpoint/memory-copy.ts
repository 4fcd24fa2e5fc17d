/**
 * The memory of one process on its way into the core, in three parts: rounds while the process runs, what is left in
 * the stop, and the writing of that once it runs again. Without tracking there are no rounds and all is left.
 */
import type { Ancestor } from "../state/delta.js";
import type { Vma } from "../state/vma.js";
import type { FrozenCopy } from "../tracee/frozen-copy.js";
import type { PageTracker } from "../tracee/page-tracker.js";
import { Pagemap } from "../tracee/pagemap.js";
import { type Span, spanBytes } from "../tracee/range-list.js";
import type { CopiedMemory } from "./copied-memory.js";
import { baseOf, planMemory } from "./core-plan.js";
import { changed, OtherProgram } from "./freeze.js";
import { doubtfulPages, Keeping, registerFresh, type TrackedKind, trackedPages } from "./keeping.js";
import type { Kept } from "./lineage.js";
import { MemoryFile } from "./memory-file.js";
import type { OutputFile } from "./output.js";
import type { Pace } from "./pace.js";
import type { BasePiece } from "./page-base.js";
import { planPages, type Share, type StoredRange, sharedPlan, sourceOf, together } from "./pages.js";
import type { ParentCore } from "./parent-core.js";
import type { Phases } from "./phases.js";
import { piecesOf } from "./pieces.js";
import { clip, isForked, isHeld, isTracked, merge, spanOf, unforked } from "./spans.js";
import { Stash, stashBytesFor } from "./stash.js";
import { attempt } from "./target.js";

export class MemoryCopy {
  /** What it owes to the checkpoints before and after it. */
  readonly keeping = new Keeping();
  /** A core to compare with once the program runs again; and whether what is as in its file is stored, too. */
  parent: ParentCore | null = null;
  isSelfContained = false;
  readonly #pid: number;
  readonly #file: MemoryFile;
  readonly pace: Pace;
  #tracker: PageTracker | null = null;
  #stash = new Stash(0);
  /** Copied from a frozen copy of the process, once it runs again. */
  #fork: FrozenCopy | null = null;
  #forked: Span[] = [];
  /** How long the last round looked for what was written, in ms; 0 where there was none but the first. */
  scanMs = 0;
  /** What goes into the core of memory that others may reach too. */
  shown: readonly StoredRange[] = [];
  #later: (() => { vmas: Vma[]; stored: StoredRange[] }) | null = null;

  constructor(pid: number, output: OutputFile, pace: Pace) {
    this.#pid = pid;
    this.#file = new MemoryFile(output);
    this.pace = pace;
  }

  /** Tracks the private mappings of the running process from now on. */
  track(tracker: PageTracker, vmas: readonly Vma[]): void {
    this.#tracker = tracker;
    for (const vma of vmas.filter(isTracked)) tracker.register(vma);
  }

  /** Tracks on from the stop, for the next checkpoint, and goes on with what the last one left; `cloned` is in the file. */
  keepTracking(kept: Kept | null, cloned: readonly BasePiece[] | null): void {
    this.keeping.begin(kept, cloned !== null);
    this.#tracker = kept?.tracker ?? null;
    this.#file.adopt(cloned);
  }

  /** The tracking, which is the caller's from now on. */
  releaseTracker(): PageTracker | null {
    const tracker = this.#tracker;
    this.#tracker = null;
    return tracker;
  }

  /** Where the pages stand once this core is the last one of its chain. */
  readonly baseFor = (copied: CopiedMemory) => baseOf(this.#file.book, copied);

  /** The cores that this one may build on, the whole one first. */
  get chain(): readonly Ancestor[] {
    return this.parent?.chain ?? this.keeping.chain;
  }

  /** Whether rounds are possible. */
  get isTracking(): boolean {
    return this.#tracker !== null;
  }

  /**
   * One round: copies what was written since the last one, in the first round everything; its bytes, and when it was
   * looked for. `vmas` are the mappings of this moment: new ones are tracked too. Throws `NativeError` (ESRCH gone, ENOSPC, …).
   */
  round(vmas: readonly Vma[]): { readonly copiedBytes: number; readonly scannedMs: number } {
    const tracker = this.#tracker;
    if (tracker === null) throw new RangeError("nothing is tracked");
    const isFirst = this.#file.isFresh && this.keeping.base === null;
    const due = this.keeping.due(vmas, tracker);
    if (isFirst) return this.#firstRound(vmas, tracker);
    let scannedMs = 0;
    const spans = this.keeping.noting(() => {
      const fresh = registerFresh(tracker, vmas, this.#pages("untracked"));
      scannedMs = performance.now();
      const written = this.#pages("protect");
      this.scanMs = performance.now() - scannedMs;
      return merge([...written, ...due, ...doubtfulPages(fresh, tracker)]);
    });
    this.#copyRunning(spans);
    return { copiedBytes: spanBytes(spans), scannedMs };
  }

  /**
   * Piece by piece, each protected right before it is copied: what is written to the others before that need not be copied
   * again. It was looked for when half of it had been.
   */
  #firstRound(vmas: readonly Vma[], tracker: PageTracker): ReturnType<MemoryCopy["round"]> {
    registerFresh(tracker, vmas, this.#pages("untracked"));
    let [copiedBytes, lookedMs] = [0, 0];
    for (const { within, spans } of piecesOf(vmas, doubtfulPages(vmas, tracker))) {
      const now = performance.now();
      const all = merge([...this.#pages("protect", within), ...spans]);
      this.#copyRunning(all);
      copiedBytes += spanBytes(all);
      lookedMs += now * spanBytes(all);
    }
    return { copiedBytes, scannedMs: copiedBytes === 0 ? performance.now() : lookedMs / copiedBytes };
  }

  #copyRunning(spans: readonly Span[]): void {
    this.#file.copy(this.#pid, spans, { ...this.pace.running, loose: true });
    this.#file.startWriting();
  }

  #pages(kind: TrackedKind, within?: Span): Span[] {
    return this.#tracker === null ? [] : trackedPages(this.#tracker, { pid: this.#pid, kind, within });
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
      const here = fork === null ? vmas : unforked(vmas);
      const planned = sharedPlan(planPages(pid, here, sourceOf(pagemap, this)), share);
      this.#later = () => (fork === null ? planned : together(this.#planFork(fork, vmas), planned));
      phases.end("scan");
      this.shown = planned.stored;
      this.#take(planned.stored.map(spanOf));
      return;
    }
    if (!this.isOfThis()) throw changed(pid, new OtherProgram());
    const apart = sourceOf({ spansOf: pagemap.spansApart.bind(pagemap) }, this);
    const rest = vmas.filter((vma) => !isTracked(vma));
    const others = sharedPlan(planPages(pid, rest, apart), share);
    this.shown = others.stored;
    const own = vmas.filter(isTracked);
    const gone = this.#file.book.gone().filter((span) => isHeld(pagemap, span));
    const untracked = clip(this.#pages("untracked"), own);
    const { written, census } = this.keeping.changes(tracker, own, untracked);
    const touched = [...written, ...untracked];
    phases.end("scan");
    this.#divide(merge([...touched, ...gone, ...others.stored.map(spanOf)]), vmas);
    this.#later = () => together(planPages(pid, own, { ...census, tight: true }), others);
  }

  /** What the frozen copy holds is asked of it. */
  #planFork({ pid }: FrozenCopy, vmas: readonly Vma[]): ReturnType<typeof planPages> {
    using pagemap = new Pagemap(pid);
    const planned = planPages(pid, vmas.filter(isForked), sourceOf(pagemap, this));
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
    this.#take(clip(spans, unforked(vmas)));
  }

  /** Into the stash as far as it reaches, the rest into the file. */
  #take(spans: readonly Span[]): void {
    const rest = this.#stash.take(this.#pid, spans, this.pace.standing);
    if (rest.length > 0) this.#file.copy(this.#pid, rest, this.pace.standing);
  }

  /** First byte behind all that has a place by now, for what else is written in the stop. */
  get endOffset(): number {
    return this.#file.book.endOffset;
  }

  /** Ends the tracking, once the process runs again. */
  untrack(): void {
    this.releaseTracker()?.[Symbol.dispose]();
    this.keeping.end();
  }

  /** Writes what was stashed and plans the core; `endOffset` is behind all that was written beside. */
  finish(endOffset: number): CopiedMemory {
    if (this.#later === null) throw new RangeError("nothing was copied in the stop");
    this.#file.book.skipTo(endOffset);
    const planned = this.#later();
    if (this.#fork !== null) this.#file.copy(this.#fork.pid, this.#forked, this.pace.later);
    this.#endFork();
    this.#writeStash();
    const base = this.parent?.baseFor(this.#file.book, planned, this.#file.fd) ?? this.keeping.base;
    this.#file.punchAllBut(planned.stored.map(spanOf));
    return planMemory(this.#file.book, planned, base && { base, levels: this.chain.length });
  }

  #writeStash(): void {
    using full = this.#stash;
    this.#file.writeStash(full, this.pace.later);
    this.#stash = new Stash(0);
  }

  #endFork(): void {
    this.#fork?.[Symbol.dispose]();
    this.#fork = null;
  }

  [Symbol.dispose](): void {
    this.#endFork();
    this.untrack();
  }
}
