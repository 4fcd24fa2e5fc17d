/**
 * When to stop a program that is copied while it runs: once so little is left that another round saves nothing, or
 * once rounds do not help any more. Pure: rates in, decision out.
 */

/** What is left may take so long to copy in the stop that another round is not worth it, in bytes. */
const LITTLE_BYTES = 1 << 20;
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

/** Bytes that the program is expected to write while a round is copied: what the next one will find. */
export function expectedBytes({ copyMs, dirtiedBytes, dirtiedMs }: Round): number {
  return dirtiedMs > 0 ? (dirtiedBytes / dirtiedMs) * copyMs : 0;
}

/** Whether another round is worth it. */
export function wantsRound(round: Round): boolean {
  if (round.rounds >= ROUNDS_MAX || round.copiedBytes <= LITTLE_BYTES) return false;
  // Nothing is known of the rate yet.
  if (round.rounds === 1) return true;
  return expectedBytes(round) < round.copiedBytes * SHRINKING;
}

/** Measured: copying memory to memory, forking, and looking for what was written, in ms a MiB. */
const STASH_MS_A_MIB = 0.4;
const FORK_MS_A_MIB = 0.03;
const SCAN_MS_A_MIB = 0.002;
/** Stopping a process and asking it for its state, and making a copy of it, in ms. */
const STATE_MS = 8;
const FORK_MS = 4;

/** What each way is expected to stop the program for, in ms. */
export interface StopEstimates {
  readonly live: number;
  readonly fork: number;
  readonly stop: number;
}

/** The estimates for what is left to copy and what there is in all, in bytes. */
export function estimateStops(left: {
  readonly leftBytes: number;
  readonly allBytes: number;
}): StopEstimates {
  const mib = (bytes: number) => bytes / (1 << 20);
  return {
    live: STATE_MS + mib(left.leftBytes) * STASH_MS_A_MIB + mib(left.allBytes) * SCAN_MS_A_MIB,
    fork: STATE_MS + FORK_MS + mib(left.allBytes) * FORK_MS_A_MIB,
    stop: STATE_MS + mib(left.allBytes) * STASH_MS_A_MIB,
  };
}
