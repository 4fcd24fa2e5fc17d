/** Rounds of the copy of a running process: all of it first, piece by piece, then what was written since. */
import type { Vma } from "../state/vma.js";
import type { PageTracker } from "../tracee/page-tracker.js";
import { type Span, spanBytes } from "../tracee/range-list.js";
import { CopyQueue } from "./copy-queue.js";
import { doubtfulPages, type Keeping, registerMuch, trackedPages } from "./keeping.js";
import type { MemoryFile } from "./memory-file.js";
import type { Pace } from "./pace.js";
import { piecesOf } from "./pieces.js";
import { merge } from "./spans.js";
import type { Standing } from "./tracking.js";

/** What is copied, and how. */
export interface RoundParts {
  readonly pid: number;
  readonly file: MemoryFile;
  readonly pace: Pace;
  readonly keeping: Keeping;
  readonly tracker: PageTracker;
  readonly standing: Standing | null;
}

export interface RoundDone {
  readonly copiedBytes: number;
  /** When it was looked for what was written (performance.now()), in ms, and how long that took; 0 of the first round. */
  readonly scannedMs: number;
  readonly scanMs: number;
}

/**
 * Copies what was written since the last round, or everything. `vmas` are the mappings of this moment: new ones are tracked
 * too where they are large. Throws `NativeError` (ESRCH, ENOSPC, …).
 */
export function copyRound(vmas: readonly Vma[], parts: RoundParts): RoundDone {
  const { pid, file, pace, keeping, tracker } = parts;
  const isFirst = file.isFresh && keeping.base === null;
  const due = keeping.due(vmas, tracker);
  if (isFirst) return firstRound(vmas, parts);
  let [scannedMs, scanMs] = [0, 0];
  const spans = keeping.noting(() => {
    const fresh = registerMuch(tracker, vmas, parts);
    scannedMs = performance.now();
    const written = trackedPages(tracker, { pid, kind: "protect" });
    scanMs = performance.now() - scannedMs;
    return merge([...written, ...due, ...doubtfulPages(fresh, tracker)]);
  });
  file.copy(pid, spans, { ...pace.running, loose: true });
  file.startWriting();
  return { copiedBytes: spanBytes(spans), scannedMs, scanMs };
}

/**
 * Piece by piece, each protected right before it is copied: what is written to the others before that need not be copied
 * again. The next is ready when one has been copied, so that the disk need not wait. It was looked for when half of it had been.
 */
function firstRound(vmas: readonly Vma[], { pid, file, pace, tracker, standing }: RoundParts): RoundDone {
  registerMuch(tracker, vmas, { pid, standing });
  let [copiedBytes, lookedMs] = [0, 0];
  const all = doubtfulPages(vmas, tracker);
  file.expect(all);
  using queue = new CopyQueue(pid, file, pace);
  for (const { within, spans } of piecesOf(vmas, all)) {
    const piece: Span[] = merge([...trackedPages(tracker, { pid, kind: "protect", within }), ...spans]);
    copiedBytes += spanBytes(piece);
    lookedMs += performance.now() * spanBytes(piece);
    queue.add(piece);
  }
  queue.end();
  return { copiedBytes, scannedMs: lookedMs / Math.max(copiedBytes, 1), scanMs: 0 };
}
