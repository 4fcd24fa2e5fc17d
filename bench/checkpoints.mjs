// Checkpoints of one running program by each tool in turn: how long it stood still, how long the tool took, how large
// the core is, how much memory the tool needed. Before each run the last core is gone and the disk is quiet.
import { spawnSync } from "node:child_process";
import { closeSync, fsyncSync, openSync, rmSync, statSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { endHeap, longestGapMs, resetGap, startHeap } from "./heap.mjs";
import { runMeasured } from "./tools.mjs";

/** How long the program is watched with no tool at work, in ms: the noise of the machine. */
const NOISE_MS = 1_000;

/** What is measured of a run, in the order of the table; keys of the samples. */
export const MEASURES = ["stopMs", "wallMs", "durableMs", "coreBytes", "diskBytes", "peakBytes"];

/**
 * One heap size: `{mib, threads, noiseMs, samples: {tool: {stopMs: [...], ...}}}`. The tools alternate, and the one that begins
 * changes from round to round; the first round warms up and is not counted.
 */
export async function compareCheckpoints({ mib, threads = 1, runs, dirtyMibPerS, folder, tools }) {
  const heap = await startHeap({ mib, threads, dirtyMibPerS, folder });
  const samples = Object.fromEntries(tools.map(({ name }) => [name, emptySamples()]));
  try {
    const noiseMs = await measureNoise(heap);
    for (let round = 0; round <= runs; round++) {
      const order = round % 2 === 0 ? tools : [...tools].reverse();
      for (const tool of order) {
        const sample = await checkpointOnce({ heap, tool, folder });
        if (round === 0) continue;
        for (const measure of MEASURES) samples[tool.name][measure].push(sample[measure]);
      }
    }
    return { mib, threads, noiseMs, samples };
  } finally {
    await endHeap(heap);
  }
}

/** A checkpoint of a program by a tool; the core is removed afterwards. */
async function checkpointOnce({ heap, tool, folder }) {
  const core = `${folder}/${tool.name}.${heap.pid}`;
  spawnSync("sync");
  await resetGap(heap);
  const { wallMs, peakBytes } = await runMeasured(tool.checkpoint(heap.pid, core), folder);
  const stopMs = await longestGapMs(heap);
  const durableMs = wallMs + makeDurable(core);
  const { size, blocks } = statSync(core);
  rmSync(core);
  return { stopMs, wallMs, durableMs, coreBytes: size, diskBytes: blocks * 512, peakBytes };
}

/** Time to bring to disk what the tool has left in the page cache, in ms: next to nothing if it did so itself. */
function makeDurable(core) {
  const fd = openSync(core, "r");
  const start = performance.now();
  fsyncSync(fd);
  const spent = performance.now() - start;
  closeSync(fd);
  return spent;
}

async function measureNoise(heap) {
  await resetGap(heap);
  await sleep(NOISE_MS);
  return longestGapMs(heap);
}

function emptySamples() {
  return Object.fromEntries(MEASURES.map((measure) => [measure, []]));
}
