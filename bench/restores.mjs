// Restores of one core, eager and, where this cr has it, lazy, beside reading the file into fresh memory: the time until the
// program looks at the clock again, until all of its memory is there, and what cr needs.
import { rmSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { nodeStartMs, readFreshMs } from "./bounds.mjs";
import { endHeap, longestGapEndMs, looks, startHeap } from "./heap.mjs";
import { hasFlag, restoreCommand, runMeasured, TOOLS } from "./tools.mjs";

/** How long a restored program may take to show a sign of life after `cr restore` has ended, in ms. */
const LIFE_MS_MAX = 10_000;

/** What is measured of a restore; keys of the samples. */
export const RESTORE_MEASURES = [
  "firstLookMs",
  "sinceBegunMs",
  "restoreMs",
  "reportedMs",
  "cpuMs",
  "peakBytes",
];

/**
 * One heap size: `{mib, samples: {eager: {firstLookMs: [...], ...}, lazy: ...}, freshMs, nodeMs}`; the first restore of
 * each way warms up and is not counted.
 */
export async function measureRestores({ plan: { mib, runs, dirty = 50 }, folder }) {
  const ways = { eager: [], ...(hasFlag("restore", "--lazy") && { lazy: ["--lazy"] }) };
  const heap = await startHeap({ mib, dirtyMibPerS: dirty, folder });
  const core = `${folder}/restore.${heap.pid}`;
  const found = { mib, samples: {}, freshMs: [], nodeMs: [] };
  for (const way of Object.keys(ways)) {
    found.samples[way] = Object.fromEntries(RESTORE_MEASURES.map((measure) => [measure, []]));
  }
  try {
    const cr = TOOLS.find(({ name }) => name === "cr");
    await runMeasured(cr.checkpoint(heap.pid, core), folder);
    for (let round = 0; round <= runs; round++) {
      const bounds = { freshMs: readFreshMs(core), nodeMs: nodeStartMs() };
      if (round > 0) for (const [bound, value] of Object.entries(bounds)) found[bound].push(value);
      for (const [way, flags] of Object.entries(ways)) {
        await endHeap(heap);
        const sample = await restoreOnce({ heap, core, folder, flags });
        if (round === 0) continue;
        for (const measure of RESTORE_MEASURES) found.samples[way][measure].push(sample[measure]);
      }
    }
    return found;
  } finally {
    await endHeap(heap);
    rmSync(core, { force: true });
  }
}

/** Restores the core under its old pid. The program's clock was stopped, so its longest gap ends at its first look. */
async function restoreOnce({ heap, core, folder, flags }) {
  const measured = await runMeasured(restoreCommand(core, ...flags), folder);
  const { startMs, wallMs: reportedMs, cpuMs, peakBytes } = measured;
  // When cr's first line of JavaScript ran, taken by that line, on the clock that the program looks at.
  const { totalMs: restoreMs, begunMs } = JSON.parse(measured.output);
  const deadline = Date.now() + LIFE_MS_MAX;
  while (longestGapEndMs(heap) < startMs) {
    if (Date.now() > deadline)
      throw new Error(`the restored program of ${heap.mib} MiB shows no sign of life`);
    await sleep(1);
  }
  const before = looks(heap);
  while (looks(heap) === before && Date.now() < deadline) await sleep(1);
  if (looks(heap) === before) throw new Error(`the restored program of ${heap.mib} MiB does not go on`);
  const firstMs = longestGapEndMs(heap);
  const since = { firstLookMs: firstMs - startMs, sinceBegunMs: firstMs - begunMs };
  return { ...since, restoreMs, reportedMs, cpuMs, peakBytes };
}
