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
import { Keeping, muchUntracked, type TrackedKind, trackedPages } from "./keeping.js";
import type { Kept } from "./lineage.js";
import { MemoryFile } from "./memory-file.js";
import type { OutputFile } from "./output.js";
import type { Pace } from "./pace.js";
import type { BasePiece } from "./page-base.js";
import { planPages, type Share, type StoredRange, sharedPlan, sourceOf, together } from "./pages.js";
import type { ParentCore } from "./parent-core.js";
import type { Phases } from "./phases.js";
import { copyRound, type RoundDone } from "./rounds.js";
import { clip, heldParts, isForked, isTracked, merge, spanOf, unforked } from "./spans.js";
import { Stash, stashBytesFor } from "./stash.js";
import { attempt } from "./target.js";
import type { Standing } from "./tracking.js";

export class MemoryCopy {
  /** What it owes to the checkpoints before and after it. */
  readonly keeping = new Keeping();
  #standing: Standing | null = null;
  /** A core to compare with once the program runs again; and whether what is as in its file is stored, too. */
  parent: ParentCore | null = null;
  isSelfContained = false;
  readonly #pid: number;
  readonly #file: MemoryFile;
  readonly pace: Pace;
  #tracker: PageTracker | null = null;
  #ending: Disposable | null = null;
  #stash = new Stash(0);
  /** Copied from a frozen copy of the process, once it runs again. */
  #fork: FrozenCopy | null = null;
  #forked: Span[] = [];
  /** How long the last round looked for what was written, in ms; of a whole copy alone, the look behind it. */
  scanMs = 0;
  /** What goes into the core of memory that others may reach too. */
  shown: readonly StoredRange[] = [];
  #later: (() => { vmas: Vma[]; stored: StoredRange[] }) | null = null;

  constructor(pid: number, output: OutputFile, pace: Pace) {
    this.#pid = pid;
    this.#file = new MemoryFile(output);
    this.pace = pace;
  }

  /** Goes on with a tracking that has begun; `standing` stops the process for as long as something takes. */
  track(tracker: PageTracker | null, standing: Standing): void {
    this.#tracker = tracker ?? this.#tracker;
    this.#standing = standing;
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

  /** One round (rounds.ts). Throws `NativeError` (ESRCH, ENOSPC, …). */
  round(vmas: readonly Vma[]): RoundDone {
    const tracker = this.#tracker;
    if (tracker === null) throw new RangeError("nothing is tracked");
    const parts = { pid: this.#pid, file: this.#file, pace: this.pace, keeping: this.keeping };
    const done = copyRound(vmas, { ...parts, tracker, standing: this.#standing });
    this.scanMs = done.scanMs || this.scanMs;
    return done;
  }

  /** What another round would find, in bytes. Throws as `round`. */
  leftBytes(mappings: () => readonly Vma[]): number {
    const begin = performance.now();
    const written = this.#pages("written");
    this.scanMs ||= performance.now() - begin;
    return spanBytes(written) + muchUntracked(this.#pages("untracked"), mappings);
  }

  #pages(kind: TrackedKind): Span[] {
    return this.#tracker === null ? [] : trackedPages(this.#tracker, { pid: this.#pid, kind });
  }

  /**
   * Makes room for what will be left, before the stop: memory that was never touched costs time in it. What does not
   * fit goes into the file at once. At most `maxBytes`; the bytes of it.
   */
  prepare(expectedBytes: number, maxBytes: number): number {
    this.#stash = new Stash(Math.min(maxBytes, stashBytesFor(expectedBytes)));
    return this.#stash.totalBytes;
  }

  /** False when what is tracked is the memory of a program that called exec. */
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
    const gone = this.#file.book.gone().flatMap((span) => heldParts(pagemap, span));
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

  /** Begins to end the tracking, once the process runs again; disposing waits for that. */
  beginUntrack(): void {
    this.#ending = this.releaseTracker()?.end() ?? this.#ending;
    this.keeping.end();
  }

  /** Ends the tracking, while the process runs. */
  untrack(): void {
    this.beginUntrack();
    this.#ending?.[Symbol.dispose]();
    this.#ending = null;
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
