/**
 * When to stop a program that is copied while it runs: once so little is left that another round saves nothing, or
 * once rounds do not help any more. Pure: rates in, decision out.
 */

/** What may be left to the last rounds, and what may be left to the stop where another round is dear, in bytes. */
const FEW_BYTES = 4 << 20;
const DEAR_BYTES = 6 << 20;
/** Copied in the stop within a fraction of a millisecond, in bytes. */
const LITTLE_BYTES = 512 << 10;
/** After a last round that copied no more than this, in bytes, so little is left that another one is not worth it. */
const LAST_BYTES = 2 << 20;
const MIB = 1 << 20;
/** A round must leave less than this part of what it copied. */
const SHRINKING = 0.7;
const ROUNDS_MAX = 12;
/** What a round takes whatever it copies, in ms and in ms a MiB of memory: looking, and protecting what was written. */
const ROUND_MS = 1;
const ROUND_MS_A_MIB = 0.005;
/** It is dear where it takes more than this part of all that the copy took so far. */
const DEAR_SHARE = 0.05;

/** One round: what it copied, and how much the program has written since it looked, in how many ms. */
export interface Round {
  /** Rounds so far, this one included. */
  readonly rounds: number;
  readonly copiedBytes: number;
  readonly leftBytes: number;
  readonly leftMs: number;
}

/** Bytes that the program is expected to have written so many ms after this round looked, by what it wrote since. */
export function leftSince({ leftBytes, leftMs }: Round, sinceMs: number): number {
  return leftBytes * Math.max(1, sinceMs / leftMs);
}

/** Whether another round is worth it. */
export function wantsRound({ rounds, copiedBytes, leftBytes }: Round): boolean {
  return rounds < ROUNDS_MAX && leftBytes > FEW_BYTES && leftBytes < copiedBytes * SHRINKING;
}

/** What was left for the last round may have taken long to copy, and the flags of mappings before it to read. */
const LAST_ROUNDS_MAX = 3;

/** What the rounds so far have left, of how much, and what they took. */
export interface LeftBehind {
  readonly leftBytes: number;
  readonly allBytes: number;
  readonly tookMs: number;
}

/**
 * Whether another round is worth it right before the stop, after last rounds that copied so many bytes each; `leftBytes` are
 * expected to be left without any.
 */
export function wantsLastRound(
  copiedBytes: readonly number[],
  { leftBytes, allBytes, tookMs }: LeftBehind,
): boolean {
  if (copiedBytes.length === 0) {
    const isDear = ROUND_MS + (allBytes / MIB) * ROUND_MS_A_MIB > tookMs * DEAR_SHARE;
    return leftBytes > (isDear ? DEAR_BYTES : LITTLE_BYTES);
  }
  const [last = 0, before = Number.POSITIVE_INFINITY] = copiedBytes.toReversed();
  return copiedBytes.length < LAST_ROUNDS_MAX && last > LAST_BYTES && last < before * SHRINKING;
}

/** Memory of cr that is filled in the stop, for all members of a tree. */
export const STASH_BYTES = 48 << 20;

/** Measured: copying memory to memory, forking, and looking for what was written, in ms a MiB. */
export const STASH_MS_A_MIB = 0.4;
const FORK_MS_A_MIB = 0.03;
const SCAN_MS_A_MIB = 0.002;
/** The same from memory into a file: what does not fit into memory of ours. */
const FILE_MS_A_MIB = 0.8;
/** Stopping a process and asking it for its state, and making a copy of it, in ms. */
const STATE_MS = 8;
const FORK_MS = 4;
/** Each thread but the first, in ms. */
const THREAD_MS = 0.5;

/** What each way is expected to stop the program for, in ms. */
export interface StopEstimates {
  readonly live: number;
  readonly fork: number;
  readonly stop: number;
}

/** What there is to copy, in bytes: left after the rounds, in all, and shared with others or not tracked. */
export interface Left {
  readonly leftBytes: number;
  readonly allBytes: number;
  readonly sharedBytes?: number;
  readonly threads?: number;
}

/** The estimates of each way. */
export function estimateStops({ leftBytes, allBytes, sharedBytes = 0, threads = 1 }: Left): StopEstimates {
  const stateMs = STATE_MS + (threads - 1) * THREAD_MS;
  const allMib = allBytes / MIB;
  return {
    live: stateMs + copyMs(leftBytes + sharedBytes) + allMib * SCAN_MS_A_MIB,
    fork: stateMs + FORK_MS + allMib * FORK_MS_A_MIB + copyMs(sharedBytes),
    stop: stateMs + copyMs(allBytes + sharedBytes),
  };
}

function copyMs(bytes: number): number {
  const kept = Math.min(bytes, STASH_BYTES);
  return (kept / MIB) * STASH_MS_A_MIB + ((bytes - kept) / MIB) * FILE_MS_A_MIB;
}
