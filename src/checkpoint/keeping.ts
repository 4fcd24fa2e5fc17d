/**
 * What a copy of a process owes to the checkpoints before and after it: pages that count as written whatever the
 * tracking says, and a note of all that was seen written, should the checkpoint come to nothing.
 */
import type { Vma } from "../state/vma.js";
import { parseSmaps, readMapsText } from "../tracee/maps.js";
import { isNativeError } from "../tracee/native-error.js";
import type { PageTracker } from "../tracee/page-tracker.js";
import { type Span, spanBytes } from "../tracee/range-list.js";
import { threadsOf } from "../tracee/tasks.js";
import { changed, OtherProgram } from "./freeze.js";
import type { Kept, Link } from "./lineage.js";
import type { PageBase } from "./page-base.js";
import { clip, isTracked, merge, ownPages } from "./spans.js";
import type { Standing } from "./tracking.js";

export class Keeping {
  #isOn = false;
  #kept: Kept | null = null;
  #seen: (readonly Span[])[] = [];
  #isFirst = true;
  #isCloned = false;
  #base: PageBase | null = null;

  /** From now on for the next checkpoint, too, and with what the last one left. */
  begin(kept: Kept | null, isCloned: boolean): void {
    this.#isOn = true;
    this.#kept = kept;
    // What is owed has to be copied: with no other place, a page that is left out would be found missing.
    this.#base = kept && !isCloned ? kept.base.without(kept.owed) : null;
    this.#isCloned = isCloned;
  }

  /** Whether the core began as a clone of the last one. */
  get isCloned(): boolean {
    return this.#isCloned && this.#kept !== null;
  }

  /** Whether tracking goes on behind the stop. */
  get isOn(): boolean {
    return this.#isOn;
  }

  /** Where pages stand that were not written since the last checkpoint; null where all have to be copied. */
  get base(): PageBase | null {
    return this.#kept && this.#base;
  }

  /** Where the last core has pages of which few may have been written since; nothing once that was looked for. */
  get stood(): readonly Span[] {
    return this.#isFirst ? (this.#kept?.base.spans ?? []) : [];
  }

  /** Runs a scan that protects pages and notes what it found: when it fails, nobody knows any more what was written. */
  noting(scan: () => Span[]): Span[] {
    const kept = this.#kept;
    this.#kept = null;
    const spans = scan();
    this.#kept = kept;
    if (kept !== null && spans.length > 0) this.#seen.push(spans);
    return spans;
  }

  /** What a process that stands has written and holds; where tracking goes on, from now on and with what is `untracked` of `own`. */
  changes(
    tracker: PageTracker,
    own: readonly Vma[],
    untracked: readonly Span[],
  ): ReturnType<PageTracker["changes"]> {
    if (!this.#isOn) return tracker.changes();
    const written = this.noting(() => {
      registerFresh(tracker, own, untracked);
      return [...tracker.pages("protect"), ...untracked];
    });
    return { written, census: tracker.census({ stands: true }) };
  }

  /**
   * Pages that the first round has to copy besides those that were written: what an earlier attempt saw, and huge pages
   * of hugetlbfs, which come back as unwritten when they were given up (a marker of the old one stays in the page table).
   */
  due(vmas: readonly Vma[], tracker: PageTracker): Span[] {
    if (this.#kept === null || !this.#isFirst) return [];
    this.#isFirst = false;
    const huge = vmas.filter((vma) => isTracked(vma) && vma.hugePageBytes !== undefined);
    return [...clip(this.#kept.owed, vmas.filter(isTracked)), ...doubtfulPages(huge, tracker)];
  }

  /** What an attempt that came to nothing gives back to the lineage; null where there is nothing to go on with. */
  giveBack(): Kept | null {
    const kept = this.#kept;
    return kept && { ...kept, owed: merge([kept.owed, ...this.#seen].flat()) };
  }

  /** The cores that this one builds on, the whole one first; none for a whole one. */
  get chain(): readonly Link[] {
    return this.#isCloned ? [] : (this.#kept?.chain ?? []);
  }

  /** Ends it: what is tracked is not to be trusted, or not there. */
  end(): void {
    this.#isOn = false;
    this.#kept = null;
  }
}

/**
 * All pages of mappings that are new to the tracking: those that were moved there may be marked as clean, by this
 * tracking or one before, so they are copied whatever is said of them.
 */
export function doubtfulPages(vmas: readonly Vma[], tracker: PageTracker): Span[] {
  const tracked = vmas.filter(isTracked);
  return tracked.length === 0 ? [] : ownPages(tracked, tracker.census());
}

/** Of mappings that are not tracked yet, in bytes: little is left for the last stop, much is worth one of its own. */
const NEW_BYTES_MIN = 2 << 20;

/** Of what is `untracked`, the bytes that are to be tracked, where it is much; else 0. */
export function muchUntracked(untracked: readonly Span[], mappings: () => readonly Vma[]): number {
  if (spanBytes(untracked) < NEW_BYTES_MIN) return 0;
  const newBytes = spanBytes(clip(untracked, mappings().filter(isTracked)));
  return newBytes < NEW_BYTES_MIN ? 0 : newBytes;
}

/** Tracks what a running process has mapped anew, where it is much; the mappings that are tracked now. */
export function registerMuch(
  tracker: PageTracker,
  vmas: readonly Vma[],
  { pid, standing }: { readonly pid: number; readonly standing: Standing | null },
): readonly Vma[] {
  const untracked = () => trackedPages(tracker, { pid, kind: "untracked" });
  if (standing === null || muchUntracked(untracked(), () => vmas) === 0) return [];
  return standing(() => registerFresh(tracker, parseSmaps(readMapsText(pid)), untracked()));
}

/** Tracks mappings of a process that stands which have pages and are not tracked yet; those that are now. */
function registerFresh(
  tracker: PageTracker,
  vmas: readonly Vma[],
  untracked: readonly Span[],
): readonly Vma[] {
  return vmas.filter((vma) => isTracked(vma) && clip(untracked, [vma]).length > 0 && tracker.register(vma));
}

export type TrackedKind = "written" | "protect" | "untracked";

/** Tracked pages of a kind, of all or `within` a span; TARGET_CHANGED when the memory that is tracked is gone and the process is not. */
export function trackedPages(
  tracker: PageTracker,
  {
    pid,
    kind,
    within,
  }: { readonly pid: number; readonly kind: TrackedKind; readonly within?: Span | undefined },
): Span[] {
  try {
    return tracker.pages(kind, within);
  } catch (error) {
    const isGone = !isNativeError(error, "ESRCH") || threadsOf(pid).length === 0;
    throw isGone ? error : changed(pid, new OtherProgram());
  }
}
