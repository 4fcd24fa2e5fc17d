// Restores of one core: the time until the program looks at the clock again, and until `cr restore` says it is done.
import { rmSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { endHeap, longestGapEndMs, looks, startHeap } from "./heap.mjs";
import { restoreCommand, runMeasured, TOOLS } from "./tools.mjs";

/** How long a restored program may take to show a sign of life after `cr restore` has ended, in ms. */
const LIFE_MS_MAX = 10_000;

/** What is measured of a restore; keys of the samples. */
export const RESTORE_MEASURES = ["firstLookMs", "reportedMs", "peakBytes"];

/** One heap size: `{mib, samples: {firstLookMs: [...], ...}}`; the first restore warms up and is not counted. */
export async function measureRestores({ mib, runs, dirtyMibPerS, folder }) {
  const heap = await startHeap({ mib, dirtyMibPerS, folder });
  const core = `${folder}/restore.${heap.pid}`;
  const samples = Object.fromEntries(RESTORE_MEASURES.map((measure) => [measure, []]));
  try {
    const cr = TOOLS.find(({ name }) => name === "cr");
    await runMeasured(cr.checkpoint(heap.pid, core), folder);
    for (let round = 0; round <= runs; round++) {
      await endHeap(heap);
      const sample = await restoreOnce({ heap, core, folder });
      if (round === 0) continue;
      for (const measure of RESTORE_MEASURES) samples[measure].push(sample[measure]);
    }
    return { mib, samples };
  } finally {
    await endHeap(heap);
    rmSync(core, { force: true });
  }
}

/** Restores the core under its old pid. The program's clock was stopped, so its longest gap ends at its first look. */
async function restoreOnce({ heap, core, folder }) {
  const { startMs, wallMs, peakBytes } = await runMeasured(restoreCommand(core), folder);
  const deadline = Date.now() + LIFE_MS_MAX;
  while (longestGapEndMs(heap) < startMs) {
    if (Date.now() > deadline)
      throw new Error(`the restored program of ${heap.mib} MiB shows no sign of life`);
    await sleep(1);
  }
  const before = looks(heap);
  while (looks(heap) === before && Date.now() < deadline) await sleep(1);
  if (looks(heap) === before) throw new Error(`the restored program of ${heap.mib} MiB does not go on`);
  return { firstLookMs: longestGapEndMs(heap) - startMs, reportedMs: wallMs, peakBytes };
}
