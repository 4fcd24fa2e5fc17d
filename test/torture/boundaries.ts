/** Which of a run's boundaries to kill at: all with CR_TORTURE=all, else a sample, of CR_TORTURE=N if given. */
import type { KilledRun } from "./killed-run.js";

/** Share of the sample that falls before the target is seized, where less can go wrong. */
const SHARE_BEFORE = 0.1;

/** About `sampleSize` boundary numbers in ascending order, spread evenly before the seize and, more densely, after it. */
export function chooseBoundaries(
  run: Pick<KilledRun, "boundaries" | "seizedAt">,
  sampleSize: number,
): number[] {
  const wanted = process.env.CR_TORTURE ?? String(sampleSize);
  const count = wanted === "all" ? run.boundaries : Math.min(Number(wanted), run.boundaries);
  if (!Number.isInteger(count) || count < 1)
    throw new RangeError(`CR_TORTURE is not a number or all: ${wanted}`);
  if (count === run.boundaries) return Array.from({ length: count }, (_, index) => index);
  const before = Math.min(Math.ceil(count * SHARE_BEFORE), run.seizedAt);
  return [...spread(0, run.seizedAt, before), ...spread(run.seizedAt, run.boundaries, count - before)];
}

/** `count` numbers spread evenly over [start, end), the first and the last included. */
function spread(start: number, end: number, count: number): number[] {
  if (count <= 1) return count === 1 ? [start] : [];
  const step = Math.max(0, end - 1 - start) / (count - 1);
  const numbers = Array.from({ length: count }, (_, index) => Math.round(start + index * step));
  return [...new Set(numbers)];
}
