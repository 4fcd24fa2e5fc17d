/**
 * When to stop a program that is copied while it runs: once so little is left that another round saves nothing, or
 * once rounds do not help any more. Pure: rates in, decision out.
 */

/** After a last round that copied no more than this, in bytes, so little is left that another one is not worth it. */
const LITTLE_BYTES = 2 << 20;
/** Of what is expected to be written since the last look: copied in the stop within a fraction of a millisecond, in bytes. */
const LEFT_BYTES = 512 << 10;
/** What may be left to the last rounds. */
const FEW_BYTES = 4 << 20;
const MIB = 1 << 20;
/** A round must leave less than this part of what it copied. */
const SHRINKING = 0.7;
const ROUNDS_MAX = 12;

/** One round: what it copied, how long that took, and how much of it the program had written in how long. */
export interface Round {
  /** Rounds so far, this one included. */
  readonly rounds: number;
  readonly copiedBytes: number;
  readonly copyMs: number;
  /** What the program wrote between the scans of the last round and this one; 0 for the first round. */
  readonly dirtiedBytes: number;
  readonly dirtiedMs: number;
}

/** Bytes that the program writes in so many ms, by the rate of a round; null where none is known. */
function writtenIn({ dirtiedBytes, dirtiedMs }: Round, ms: number): number | null {
  return dirtiedMs > 0 ? (dirtiedBytes / dirtiedMs) * ms : null;
}

/** Bytes that the program is expected to write while a round is copied: what the next one will find. */
export function expectedBytes(round: Round): number {
  return writtenIn(round, round.copyMs) ?? 0;
}

/** Bytes that the program is expected to have written since this round looked; without a rate whatever it may be. */
export function leftSince(round: Round, sinceMs: number): number {
  return writtenIn(round, sinceMs) ?? Number.POSITIVE_INFINITY;
}

/** Whether another round is worth it. */
export function wantsRound(round: Round): boolean {
  if (round.rounds >= ROUNDS_MAX || round.copiedBytes <= FEW_BYTES) return false;
  // Nothing is known of the rate yet.
  if (round.rounds === 1) return true;
  return expectedBytes(round) < round.copiedBytes * SHRINKING;
}

/** What was left for the last round may have taken long to copy, and the flags of mappings before it to read. */
const LAST_ROUNDS_MAX = 3;

/**
 * Whether another round is worth it right before the stop, after last rounds that copied so many bytes each; `leftBytes` are
 * expected to be left without any.
 */
export function wantsLastRound(copiedBytes: readonly number[], leftBytes: number): boolean {
  if (copiedBytes.length === 0) return leftBytes > LEFT_BYTES;
  const [last = 0, before = Number.POSITIVE_INFINITY] = copiedBytes.toReversed();
  return copiedBytes.length < LAST_ROUNDS_MAX && last > LITTLE_BYTES && last < before * SHRINKING;
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
