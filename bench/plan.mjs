// What is measured: sizes, threads, write rates and intervals that show how each matters, not all of them with all. Plain
// data, and whether a size fits on this machine.
import { readFileSync, statfsSync } from "node:fs";
import { digits } from "./stats.mjs";

/** As fast as it can: more than any machine's memory takes, in MiB/s. */
export const FLAT_OUT = 1_000_000;

/** The memory that is rewritten every 3 s while it is checkpointed again and again. */
const REWRITTEN = { mib: 128, workingMib: 100, dirty: 100 / 3 };

/**
 * `checkpoints` and `restores`: heaps in MiB (0: the tiny process), threads if several, MiB/s written if not 50, how many
 * runs count. `trees`: processes, MiB in all. `watches`: see watchOnce (continuous.mjs); `incremental` is one of them, of the large heap.
 */
export const FULL = {
  checkpoints: [
    { mib: 0, runs: 9 },
    { mib: 10, threads: 8, runs: 5 },
    { mib: 10, threads: 64, runs: 5 },
    { mib: 16, runs: 7 },
    { mib: 64, runs: 5 },
    { mib: 256, runs: 5 },
    { mib: 2048, runs: 3, withBounds: true },
    { mib: 2048, dirty: 0, runs: 3 },
    { mib: 2048, dirty: 500, runs: 3 },
    { mib: 2048, dirty: FLAT_OUT, runs: 3 },
    { mib: 8192, runs: 3 },
  ],
  trees: [{ count: 20, mib: 1024, runs: 3 }],
  restores: [
    { mib: 0, runs: 5 },
    { mib: 16, runs: 5 },
    { mib: 256, runs: 5 },
    { mib: 2048, runs: 3 },
  ],
  watches: [
    { ...REWRITTEN, everyMs: 50, generations: 60 },
    { ...REWRITTEN, everyMs: 1000, generations: 6 },
    { ...REWRITTEN, everyMs: 10_000, generations: 2 },
  ],
  incremental: { mib: 2048, dirty: 50, everyMs: 2000, generations: 4 },
};

export const QUICK = {
  checkpoints: [
    { mib: 0, runs: 3 },
    { mib: 10, threads: 64, runs: 2 },
    { mib: 64, runs: 2, withBounds: true },
    { mib: 64, dirty: FLAT_OUT, runs: 2 },
  ],
  trees: [{ count: 5, mib: 64, runs: 2 }],
  restores: [
    { mib: 0, runs: 1 },
    { mib: 64, runs: 2 },
  ],
  watches: [
    { ...REWRITTEN, everyMs: 50, generations: 10 },
    { ...REWRITTEN, everyMs: 1000, generations: 2 },
  ],
  incremental: { mib: 64, dirty: 5, everyMs: 500, generations: 3 },
};

/** Memory, and room for cores, of which two are there at a time, that a heap wants beside its own, as a part of it. */
const BESIDE = { memory: 1.3, disk: 2.2 };
const SPARE_BYTES = 2 ** 30;

/** Why a heap is too large for this machine; null when it is not. */
export function whyTooLarge({ mib }, folder) {
  const bytes = mib * 2 ** 20;
  const meminfo = readFileSync("/proc/meminfo", "utf8");
  const memory = Number(/^MemAvailable:\s+(\d+)/m.exec(meminfo)?.[1] ?? 0) * 1024;
  const { bavail, bsize } = statfsSync(folder);
  for (const [what, free, wanted] of [
    ["memory", memory, bytes * BESIDE.memory + SPARE_BYTES],
    ["disk", bavail * bsize, bytes * BESIDE.disk + SPARE_BYTES],
  ]) {
    if (free < wanted)
      return `${what} for it is short: ${digits(free / 2 ** 30)} of ${digits(wanted / 2 ** 30)} GiB`;
  }
  return null;
}

/** The name of a heap in tables and plots. */
export function heapName({ mib, threads = 1, dirty = 50 }) {
  const size = mib === 0 ? "tiny" : mib >= 1024 ? `${mib / 1024} GiB` : `${mib} MiB`;
  const more = threads > 1 ? `, ${threads} threads` : "";
  return dirty === 50 ? size + more : `${size}${more}, ${rateName(dirty)}`;
}

export function rateName(dirty) {
  return dirty >= FLAT_OUT ? "flat out" : `${digits(dirty)} MiB/s`;
}

/** An interval, as the flag takes it. */
export function intervalName(everyMs) {
  return everyMs >= 1000 ? `${everyMs / 1000} s` : `${everyMs} ms`;
}
