/** Rounds of the copy of a running process: first all of it, or what was written since the last core, then what was written meanwhile. */
import type { Vma } from "../state/vma.js";
import type { PageTracker } from "../tracee/page-tracker.js";
import { type Span, spanBytes } from "../tracee/range-list.js";
import { CopyQueue } from "./copy-queue.js";
import { doubtfulPages, type Keeping, registerMuch, trackedPages } from "./keeping.js";
import type { MemoryFile } from "./memory-file.js";
import type { Pace } from "./pace.js";
import { type Piece, piecesAmong, piecesOf } from "./pieces.js";
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
  /** When it was looked for what was written (performance.now()), in ms, and how long that took; 0 of a whole copy. */
  readonly scannedMs: number;
  readonly scanMs: number;
}

/**
 * Copies what was written since the last round, or everything. `vmas` are the mappings of this moment: new ones are tracked
 * too where they are large. Piece by piece where it is much, each protected right before it is copied: what is written to the
 * others before that need not be copied again. The next is looked for while one is copied, so that the disk need not wait.
 * Throws `NativeError` (ESRCH, ENOSPC, …).
 */
export function copyRound(vmas: readonly Vma[], parts: RoundParts): RoundDone {
  const { pid, keeping, tracker, file } = parts;
  const isWhole = file.isFresh && keeping.base === null;
  const pieces = piecesFor(vmas, parts, isWhole);
  using queue = new CopyQueue(parts, pieces.length);
  let [copiedBytes, lookedMs, scanMs] = [0, 0, 0];
  let scannedMs = performance.now();
  for (const { within, spans } of pieces) {
    scannedMs = performance.now();
    const written = keeping.noting(() => trackedPages(tracker, { pid, kind: "protect", within }));
    scanMs += performance.now() - scannedMs;
    const piece = spans.length === 0 ? written : merge([...written, ...spans]);
    const bytes = spanBytes(piece);
    // In the others there will be about as much.
    if (copiedBytes === 0 && !isWhole && pieces.length > 1)
      file.expect({ totalBytes: bytes * pieces.length, stretches: 1 });
    copiedBytes += bytes;
    lookedMs += scannedMs * bytes;
    queue.add(piece);
  }
  queue.end();
  // When half of it had been looked for.
  if (copiedBytes > 0) scannedMs = lookedMs / copiedBytes;
  return { copiedBytes, scannedMs, scanMs: isWhole ? 0 : scanMs };
}

/** What is looked for at a time, with the pages there that are copied whatever is found. */
function piecesFor(vmas: readonly Vma[], parts: RoundParts, isWhole: boolean): readonly Piece[] {
  const { keeping, tracker, file } = parts;
  const stood = keeping.stood;
  const due = keeping.due(vmas, tracker);
  const forced: Span[] = keeping.noting(() => {
    const fresh = registerMuch(tracker, vmas, parts);
    return merge([...due, ...doubtfulPages(isWhole ? vmas : fresh, tracker)]);
  });
  if (!isWhole) return piecesAmong(vmas, stood, forced);
  file.expect({ totalBytes: spanBytes(forced), stretches: forced.length });
  return piecesOf(vmas, forced);
}
