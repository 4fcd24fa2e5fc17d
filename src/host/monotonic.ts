/** Time that passes, for durations and deadlines. */

/** Milliseconds on CLOCK_MONOTONIC. `performance.now()` would make Node load its module for it first, which takes 1 ms. */
export function nowMs(): number {
  return Number(process.hrtime.bigint()) / 1e6;
}
