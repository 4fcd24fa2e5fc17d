/**
 * How a process is copied: while it runs (`live`), from a frozen copy of it (`fork`), or while it stands (`stop`). What
 * was asked for, else what stops it for the shortest time; refused while it runs when that is longer than it may be.
 */
import { CrError } from "../errors.js";
import { memoryHeadroom } from "../host/memory-headroom.js";
import { FrozenCopy } from "../tracee/frozen-copy.js";
import type { Answers } from "./ask.js";
import { estimateStops } from "./convergence.js";
import type { Frozen } from "./frozen.js";
import { type Candidate, copyWhileItRuns, isSmall, type LiveCopy, ownBytes, whyNoHelper } from "./live.js";
import type { MemoryCopy } from "./memory-copy.js";
import { attempt } from "./target.js";
import { findWorkplace } from "./workplace.js";

export type Mode = "live" | "fork" | "stop";

export interface ModeOptions {
  /** The only way that is wanted; default: the one with the shortest stop. */
  readonly mode?: Mode;
  /** How long the program may stand still, in ms. */
  readonly maxStopMs?: number;
}

export interface Begun {
  readonly mode: Mode;
  readonly rounds: number;
  readonly leftBytes: number;
  /** Whether one more round is worth it right before the stop (live.ts). */
  readonly wantsLast: LiveCopy["wantsLast"];
  /** How long the stop is expected to last, in ms. */
  readonly expectedMs: number;
  /** Why it is not `live`; null when it is, or when the way was asked for. */
  readonly why: string | null;
}

/** Nothing was copied before the stop. */
export const NOT_BEGUN: Begun = {
  mode: "stop",
  rounds: 0,
  leftBytes: 0,
  wantsLast: () => false,
  expectedMs: 0,
  why: null,
};

/** Why nothing is copied while it runs: one stop is as short. */
export const LITTLE = "it has little memory";
const FAST = "it writes faster than it can be copied";

/** A copy may cost as much memory as the program has, and something beside. */
const SPARE = 1.1;

/**
 * Chooses, and copies what can be copied before the stop. Throws MODE_UNAVAILABLE, TARGET_CHANGED and what freezing
 * throws; `NativeError` of the copy.
 */
export function beginCopy(candidate: Candidate, memory: MemoryCopy, options: ModeOptions): Begun {
  const { pid, look } = candidate;
  const allBytes = ownBytes(look);
  const noFork = whyNoFork(candidate);
  if (options.mode === "fork" && noFork !== null) throw unavailable(pid, "fork", noFork);
  const isLive = options.mode === "live" || (options.mode === undefined && !isSmall(look));
  const live = isLive ? copyWhileItRuns(candidate, memory) : null;
  if (options.mode === "live" && live?.why) throw unavailable(pid, "live", live.why);
  const leftBytes = live?.why === null ? live.leftBytes : allBytes;
  const stops = estimateStops({ leftBytes, allBytes, ...besides(look) });
  let mode: Mode = options.mode ?? (live?.why === null ? "live" : "stop");
  let why = options.mode === undefined ? (live === null ? LITTLE : live.why) : null;
  if (options.mode === undefined && noFork === null && stops.fork < stops[mode]) {
    why ??= FAST;
    mode = "fork";
  }
  return {
    mode,
    rounds: live?.rounds ?? 0,
    leftBytes: mode === "fork" ? 0 : leftBytes,
    wantsLast: live?.wantsLast ?? NOT_BEGUN.wantsLast,
    expectedMs: stops[mode],
    why,
  };
}

/** What else takes time in a stop: threads, and shared memory that it has (RssShmem of proc_pid_status(5)). */
function besides({ facts: { status } }: Candidate["look"]) {
  const [threads = 1, sharedKib = 0] = ["Threads", "RssShmem"].map((name) =>
    Number.parseInt(status.get(name) ?? "", 10),
  );
  return { threads: threads || 1, sharedBytes: (sharedKib || 0) * 1024 };
}

/** Refuses what would stop the program for too long: all members of a tree stand together. Throws STOP_TOO_LONG. */
export function requireShort(pid: number, all: readonly Begun[], maxStopMs: number | undefined): void {
  const expectedMs = all.reduce((sum, one) => sum + one.expectedMs, 0);
  if (maxStopMs === undefined || expectedMs <= maxStopMs) return;
  throw tooLong(pid, { mode: all[0]?.mode ?? "stop", expectedMs, maxStopMs });
}

/** Why a frozen copy cannot be made; null when it can. */
function whyNoFork({ pid, look, isOfTree }: Candidate): string | null {
  if (isOfTree) return "it belongs to a process tree";
  const why = whyNoHelper(look);
  if (why !== null) return why;
  // The copy would become a child of the namespace's process 1, and its end be told to that.
  const ids = look.facts.status.get("NSpid")?.split(/\s+/) ?? [];
  if (ids.length > 1) return "it has a pid namespace of its own";
  const bytes = ownBytes(look) * SPARE;
  return memoryHeadroom(pid) < bytes ? "there is not memory enough for a copy of it" : null;
}

/** The error for a way of copying that was asked for and cannot be had. */
export function unavailable(pid: number, mode: Mode, why: string): CrError {
  return new CrError("MODE_UNAVAILABLE", `cannot checkpoint process ${pid} with --mode ${mode}: ${why}`, {
    hint: "leave out --mode to let cr choose",
  });
}

function tooLong(pid: number, found: { mode: Mode; expectedMs: number; maxStopMs: number }): CrError {
  const { mode, expectedMs, maxStopMs } = found;
  return new CrError(
    "STOP_TOO_LONG",
    `cannot checkpoint process ${pid}: it would stand still for about ${Math.ceil(expectedMs)} ms (${mode}), ` +
      `allowed are ${maxStopMs} ms`,
    { hint: `try when it writes less, or allow more: --max-stop ${Math.ceil(expectedMs * 1.5)}ms` },
  );
}

/** Why there is none. */
export const NO_COPY =
  "the kernel makes no copy of it, or it would become its parent (PR_SET_CHILD_SUBREAPER)";

/** A copy to save from while the process runs on; null where that cannot be had. */
export function makeFork(
  { tracee: { pid }, threads, gadgets }: Frozen,
  { process }: Answers,
): FrozenCopy | null {
  // It would get our orphan for a child.
  if ((process.settings.subreaper & 0xffffffffn) !== 0n) return null;
  const main = threads.get(pid);
  const work = main && findWorkplace(pid, threads, gadgets);
  return main && work ? attempt(pid, () => FrozenCopy.make(work, main)) : null;
}
