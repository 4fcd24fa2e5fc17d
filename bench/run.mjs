// npm run bench: checkpoints and restores of growing heaps by cr, beside gcore on the same process in the same run.
// Options: --quick (small heaps, few runs, results only printed), --tools cr,gcore, --dirty MIB_PER_S,
// --out FOLDER (where cores go; default bench/out). A full run writes docs/bench.
import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { compareCheckpoints } from "./checkpoints.mjs";
import { describeMachine } from "./machine.mjs";
import { renderLines } from "./plot.mjs";
import { heapName, renderReport } from "./report.mjs";
import { measureRestores } from "./restores.mjs";
import { digits, median, mib } from "./stats.mjs";
import { TOOLS } from "./tools.mjs";
import { compareTrees } from "./tree.mjs";

const HERE = fileURLToPath(new URL(".", import.meta.url));
const DOCS = fileURLToPath(new URL("../docs/bench", import.meta.url));

/** As fast as it can: more than any machine's memory takes. */
const FLAT_OUT = 1_000_000;
/**
 * Heap sizes in MiB (0: the tiny process), threads if several, the MiB/s it dirties if not those of --dirty, and how many
 * runs count; one more warms up.
 */
const FULL = [
  { mib: 0, runs: 9 },
  { mib: 10, threads: 64, runs: 9 },
  { mib: 16, runs: 9 },
  { mib: 256, runs: 5 },
  { mib: 2048, runs: 3 },
  { mib: 2048, dirty: 0, runs: 3 },
  { mib: 2048, dirty: 500, runs: 3 },
  { mib: 2048, dirty: FLAT_OUT, runs: 3 },
  { mib: 8192, runs: 2 },
];
const QUICK = [
  { mib: 0, runs: 3 },
  { mib: 10, threads: 64, runs: 5 },
  { mib: 16, runs: 3 },
  { mib: 64, runs: 3 },
  { mib: 64, dirty: FLAT_OUT, runs: 3 },
];

/** Processes of a tree, their memory in all, and runs. */
const TREE = { count: 20, mib: 1024, runs: 3 };
const QUICK_TREE = { count: 5, mib: 64, runs: 3 };

const PLOTS = [
  { file: "stop.svg", title: "How long the program stands still", measure: "stopMs", unit: "ms" },
  { file: "wall.svg", title: "How long the tool takes", measure: "wallMs", unit: "ms" },
  { file: "memory.svg", title: "How much memory the tool needs", measure: "peakBytes", unit: "MiB" },
];
const RESTORE_PLOT = { file: "restore.svg", title: "How long cr restore takes until the program runs" };

async function main() {
  const { values: options } = parseArgs({
    options: {
      quick: { type: "boolean", default: false },
      tools: { type: "string", default: "cr,gcore" },
      dirty: { type: "string", default: "50" },
      out: { type: "string", default: `${HERE}out` },
    },
  });
  const chosen = options.tools.split(",");
  const tools = TOOLS.filter(({ name }) => chosen.includes(name));
  const usable = tools.filter(isThere);
  build();
  mkdirSync(options.out, { recursive: true });
  const folder = mkdtempSync(`${realpathSync(options.out)}/run-`);
  try {
    const plan = options.quick ? QUICK : FULL;
    const results = await measure({ plan, usable, folder, dirtyMibPerS: Number(options.dirty) });
    const tree = options.quick ? QUICK_TREE : TREE;
    console.error(`bench: checkpoint, a tree of ${tree.count} processes`);
    const trees = [await compareTrees({ ...tree, folder, tools: usable })];
    const settings = { runsText: describeRuns(plan), dirtyMibPerS: options.dirty };
    const machine = describeMachine(folder, tools);
    const all = { ...results, trees, tools, machine, settings };
    console.log(renderReport(all, options.quick ? { checkpoint: [], restore: [] } : plotsOf(all)));
    if (!options.quick) publish(all);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** cr must be there; a peer that is not is said. */
function isThere(tool) {
  const missing = tool.missing();
  if (missing === null) return true;
  if (tool.name === "cr") throw new Error(`cannot bench cr: ${missing}`);
  console.error(`bench: not measured: ${missing}`);
  return false;
}

function build() {
  const made = spawnSync("make", ["-s", "-C", HERE], { stdio: "inherit" });
  if (made.status !== 0) throw new Error("cannot build bench/heap.c: needs gcc, make and libc6-dev");
}

async function measure({ plan, usable, folder, dirtyMibPerS }) {
  const checkpoints = [];
  const restores = [];
  for (const { mib: size, threads = 1, dirty, runs } of plan) {
    const shared = { mib: size, threads, runs, dirtyMibPerS: dirty ?? dirtyMibPerS, folder };
    console.error(`bench: checkpoint, ${heapName(size, threads, dirty)}`);
    checkpoints.push({ ...(await compareCheckpoints({ ...shared, tools: usable })), dirty });
    if (threads > 1 || dirty !== undefined || !usable.some(({ name }) => name === "cr")) continue;
    console.error(`bench: restore, ${heapName(size)}`);
    restores.push(await measureRestores(shared));
  }
  return { checkpoints, restores };
}

function publish(results) {
  const plots = plotsOf(results);
  mkdirSync(DOCS, { recursive: true });
  for (const plot of plots.checkpoint) writeFileSync(`${DOCS}/${plot.file}`, drawCheckpoints(results, plot));
  for (const plot of plots.restore) writeFileSync(`${DOCS}/${plot.file}`, drawRestores(results, plot));
  writeFileSync(`${DOCS}/results.md`, renderReport(results, plots));
  console.error(`bench: written to ${DOCS}`);
}

function plotsOf({ restores }) {
  return { checkpoint: PLOTS, restore: restores.length > 0 ? [RESTORE_PLOT] : [] };
}

/** A line a tool over the heap sizes. */
function drawCheckpoints({ checkpoints }, { title, measure: key, unit }) {
  const inUnit = (value) => (unit === "MiB" ? mib(value) : value);
  const series = Object.keys(checkpoints[0]?.samples ?? {}).map((name) => ({
    name,
    points: checkpoints
      .filter(({ threads, dirty }) => threads === 1 && dirty === undefined)
      .map(({ mib: size, samples }) => [size, inUnit(median(samples[name][key]))]),
  }));
  return draw({ title, yUnit: unit, series });
}

function drawRestores({ restores }, { title }) {
  const points = restores.map(({ mib: size, samples }) => [size, median(samples.firstLookMs)]);
  return draw({ title, yUnit: "ms", series: [{ name: "cr", points }] });
}

/** The tiny process, of no size, has no place on a logarithmic axis. */
function draw({ title, yUnit, series }) {
  const sized = series.map(({ name, points }) => ({ name, points: points.filter(([size]) => size > 0) }));
  const xTicks = (sized[0]?.points ?? []).map(([size]) => [size, heapName(size)]);
  return renderLines({ title, yUnit, xTicks, series: sized, format: digits });
}

function describeRuns(plan) {
  return plan
    .map(({ mib: size, threads, dirty, runs }) => `${runs} runs (${heapName(size, threads, dirty)})`)
    .join(", ");
}

try {
  await main();
} catch (error) {
  console.error(`bench: ${error.message}`);
  process.exitCode = 1;
}
