// Checkpoints of one running program by each tool in turn: how long it stood still, how much less it got done meanwhile, how
// long the tool took, how large the core is, what the tool needed. Before each run the last core is gone and the disk quiet.
import { spawnSync } from "node:child_process";
import { closeSync, fsyncSync, lstatSync, mkdirSync, openSync, readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { measureBounds } from "./bounds.mjs";
import { endHeap, longestGapMs, paceDuring, resetGap, startHeap } from "./heap.mjs";
import { newTally, undisturbed } from "./steal.mjs";
import { runMeasured } from "./tools.mjs";

/** How long the program is watched with no tool at work, in ms: the noise of the machine, and how much it gets done. */
const NOISE_MS = 1_000;

/** What is measured of a run, in the order of the table; keys of the samples. */
export const MEASURES = [
  ...["stopMs", "slowPercent", "wallMs", "durableMs", "cpuMs", "peakBytes", "coreBytes", "diskBytes"],
];

/**
 * One program: `{mib, threads, dirty, noiseMs, samples: {tool: {stopMs: [...], ...}}, failed: {tool: why}}`. The tools
 * alternate, and the one that begins changes from round to round; the first round warms up and is not counted. A peer that
 * fails is not asked again. With `withBounds` what writing and copying the bytes of cr's core costs is measured in every round.
 */
export async function compareCheckpoints({ plan, folder, tools }) {
  const { mib, threads = 1, dirty = 50, runs } = plan;
  const program = { mib, threads, dirtyMibPerS: dirty, folder };
  const heap = await startHeap(program);
  const heaps = new Map();
  const samples = Object.fromEntries(tools.map(({ name }) => [name, emptySamples()]));
  const found = { ...plan, threads, dirty, samples, failed: {}, bounds: [], scanMs: [], liveScanMs: [] };
  found.tally = newTally();
  try {
    for (const tool of tools) heaps.set(tool, await heapOf(tool, { heap, program, found }));
    const noise = await measureNoise(heap);
    for (let round = 0; round <= runs; round++) {
      const order = round % 2 === 0 ? tools : [...tools].reverse();
      for (const tool of order.filter(({ name }) => !(name in found.failed))) {
        const of = (sample) => sample.stopMs;
        const sample = await undisturbed(
          () => sampleOf(tool, { heap: heaps.get(tool), folder, noise, found }),
          { of, tally: found.tally },
        );
        if (round === 0 || sample === null) continue;
        for (const measure of MEASURES) samples[tool.name][measure].push(sample[measure]);
      }
    }
    return { ...found, noiseMs: noise.gapMs };
  } finally {
    for (const each of new Set([heap, ...heaps.values()])) if (each) await endHeap(each);
  }
}

/** The program that a tool saves: the same for all, but for a tool that must start it. */
async function heapOf(tool, { heap, program, found }) {
  if (tool.under === undefined) return heap;
  try {
    return await startHeap({ ...program, under: tool.under(program.folder) });
  } catch (error) {
    fail(tool, found, error);
    return null;
  }
}

function fail({ name }, found, error) {
  if (name === "cr") throw error;
  found.failed[name] = error.message.split("\n").slice(0, 3).join(" ");
  console.error(`bench: ${name} failed: ${found.failed[name]}`);
}

/** A checkpoint of a program by a tool; the core is removed afterwards. Null where a peer fails. */
async function sampleOf(tool, { heap, folder, noise, found }) {
  const core = `${folder}/${tool.name}.${heap.pid}`;
  if (tool.folder) mkdirSync(core);
  try {
    spawnSync("sync");
    await resetGap(heap);
    const { looksPerMs, result } = await paceDuring(heap, () =>
      runMeasured(tool.checkpoint(heap.pid, core), folder),
    );
    const { wallMs, cpuMs, peakBytes } = result;
    const stopMs = await longestGapMs(heap);
    const durableMs = wallMs + makeDurable(core);
    const slowPercent = 100 * (1 - looksPerMs / noise.looksPerMs);
    if (tool.name === "cr") {
      const { phases, scanMs } = JSON.parse(result.output);
      found.scanMs.push(phases.scan);
      found.liveScanMs.push(scanMs);
    }
    if (found.withBounds && tool.name === "cr") found.bounds.push(measureBounds(core, folder));
    return { stopMs, slowPercent, wallMs, durableMs, cpuMs, peakBytes, ...sizesOf(core) };
  } catch (error) {
    fail(tool, found, error);
    return null;
  } finally {
    rmSync(core, { recursive: true, force: true });
  }
}

/** The files of a core: itself, or what is in the folder. */
function filesOf(core) {
  return lstatSync(core).isDirectory() ? readdirSync(core).map((name) => join(core, name)) : [core];
}

function sizesOf(core) {
  const all = filesOf(core).map((file) => lstatSync(file));
  return {
    coreBytes: all.reduce((sum, { size }) => sum + size, 0),
    diskBytes: all.reduce((sum, { blocks }) => sum + blocks * 512, 0),
  };
}

/** Time to bring to disk what the tool has left in the page cache, in ms: next to nothing if it did so itself. */
function makeDurable(core) {
  const start = performance.now();
  for (const file of filesOf(core)) {
    const fd = openSync(file, "r");
    fsyncSync(fd);
    closeSync(fd);
  }
  return performance.now() - start;
}

async function measureNoise(heap) {
  await resetGap(heap);
  const { looksPerMs } = await paceDuring(heap, () => sleep(NOISE_MS));
  return { looksPerMs, gapMs: await longestGapMs(heap) };
}

function emptySamples() {
  return Object.fromEntries(MEASURES.map((measure) => [measure, []]));
}
