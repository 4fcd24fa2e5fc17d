// The results as a Markdown page: what they were measured on, checkpoints side by side, restores, how to read them.
import { MEASURES } from "./checkpoints.mjs";
import { RESTORE_MEASURES } from "./restores.mjs";
import { digits, median, mib, spread, withRange } from "./stats.mjs";
import { renderTree } from "./tree.mjs";

const CHECKPOINT_HEADS = [
  "stop, ms",
  "wall, ms",
  "wall until durable, ms",
  "core, MiB",
  "on disk, MiB",
  "memory of the tool, MiB",
];
const RESTORE_HEADS = ["until the program runs, ms", "until cr says so, ms", "memory of cr, MiB"];

/** The page. `results` is what run.mjs collected; `plots.checkpoint` and `plots.restore` are the SVG files beside it. */
export function renderReport({ machine, tools, checkpoints, restores, trees, settings }, plots) {
  const missing = tools.filter((tool) => tool.missing() !== null);
  return [
    "# Bench results",
    "",
    "Written by `npm run bench`; how to repeat and read it: [README.md](README.md).",
    "",
    ...table(["", ""], machine),
    "",
    "## Checkpoint",
    "",
    `Median (smallest to largest) of ${settings.runsText}, tools in turn on the same process, which dirties ` +
      `${settings.dirtyMibPerS} MiB/s while it is watched where nothing else is said. *Stop* is the longest time the program itself stood still. ` +
      "A ratio below 1 means that `cr` is better.",
    "",
    ...missing.map((tool) => `Not measured: ${tool.missing()}.\n`),
    ...table(["heap", "tool", ...CHECKPOINT_HEADS], checkpoints.flatMap(checkpointRows)),
    "",
    "Longest gap with no tool at work: " +
      `${checkpoints.map((each) => `${digits(each.noiseMs)} ms (${heapName(each.mib, each.threads, each.dirty)})`).join(", ")}.`,
    "",
    ...plots.checkpoint.flatMap(picture),
    ...trees.flatMap(renderTree),
    ...renderRestores(restores),
    ...plots.restore.flatMap(picture),
  ].join("\n");
}

function picture({ file, title }) {
  return [`![${title}](${file})`, ""];
}

/** The name of a heap size in tables and plots; `dirty` are the MiB/s it writes where they are its own. */
export function heapName(size, threads = 1, dirty = undefined) {
  if (dirty !== undefined)
    return `${heapName(size, threads)}, ${dirty >= 1e6 ? "flat out" : `${dirty} MiB/s`}`;
  if (threads > 1) return `${heapName(size)}, ${threads} threads`;
  if (size === 0) return "tiny";
  return size >= 1024 ? `${size / 1024} GiB` : `${size} MiB`;
}

function renderRestores(restores) {
  if (restores.length === 0) return [];
  const rows = restores.map(({ mib: size, samples }) => [
    heapName(size),
    ...RESTORE_MEASURES.map((measure) =>
      withRange(spread(samples[measure].map((value) => inUnit(measure, value)))),
    ),
  ]);
  return [
    "## Restore",
    "",
    "`cr restore --detach` of a core of the same program, read from the page cache.",
    "",
    ...table(["heap", ...RESTORE_HEADS], rows),
    "",
  ];
}

function checkpointRows({ mib: size, threads, dirty, samples }) {
  const rows = Object.entries(samples).map(([tool, sample]) => [
    heapName(size, threads, dirty),
    tool,
    ...MEASURES.map((measure) => withRange(spread(sample[measure].map((value) => inUnit(measure, value))))),
  ]);
  const { cr, gcore } = samples;
  if (cr && gcore) {
    const ratios = MEASURES.map((measure) => `**${digits(median(cr[measure]) / median(gcore[measure]))}**`);
    rows.push([heapName(size, threads, dirty), "**cr / gcore**", ...ratios]);
  }
  return rows;
}

function inUnit(measure, value) {
  return measure.endsWith("Bytes") ? mib(value) : value;
}

function table(heads, rows) {
  const line = (cells) => `| ${cells.join(" | ")} |`;
  return [line(heads), line(heads.map((_, index) => (index < 2 ? "---" : "---:"))), ...rows.map(line)];
}
