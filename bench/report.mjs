// The results as a Markdown page: targets, what they were measured on, checkpoints side by side, bounds, checkpoints again and
// again, restores.
import { MEASURES } from "./checkpoints.mjs";
import { heapName, intervalName, rateName } from "./plan.mjs";
import { RESTORE_MEASURES } from "./restores.mjs";
import { digits, median, mib, spread, withRange } from "./stats.mjs";
import { describeTally, sumTallies } from "./steal.mjs";
import { judgeTargets } from "./targets.mjs";
import { renderTree } from "./tree.mjs";

const CHECKPOINT_HEADS = [
  ...["stop, ms", "slower meanwhile, %", "wall, ms", "wall until durable, ms", "CPU, ms"],
  ...["memory of the tool, MiB", "core, MiB", "on disk, MiB"],
];
const RESTORE_HEADS = [
  ...["until the program runs, ms", "since its first line, ms", "the restore alone, ms"],
  ...["until cr says so, ms", "CPU, ms", "memory of cr, MiB"],
];
const WATCH_HEADS = [
  "slower, %",
  "longest gap, ms",
  "taken by the host, %",
  "stop, ms",
  "wall, ms",
  "on disk, MiB",
  "written between, MiB",
];

/** The page. `results` is what run.mjs collected; `plots` are the SVG files beside it, by chapter. */
export function renderReport(results, plots) {
  const { machine, tools, checkpoints, skipped } = results;
  const missing = tools.flatMap((tool) => tool.missing() ?? []);
  const failed = checkpoints.flatMap((one) =>
    Object.entries(one.failed).map(([tool, why]) => `${tool}, ${heapName(one)}: ${why}`),
  );
  return [
    "# Bench results",
    "",
    "Written by `npm run bench`; how to repeat and read it: [README.md](README.md).",
    "",
    ...table(["", ""], machine),
    "",
    ...[...missing, ...failed, ...skipped].map((why) => `Not measured: ${why}.\n`),
    "## Targets",
    "",
    ...table(["what", "at most", "measured", "met"], judgeTargets(results)),
    "",
    ...renderCheckpoints(results),
    ...plots.checkpoints.flatMap(picture),
    ...renderBounds(results),
    ...results.trees.flatMap(renderTree),
    ...renderWatches(results),
    ...plots.watches.flatMap(picture),
    ...renderRestores(results),
    ...plots.restores.flatMap(picture),
  ].join("\n");
}

function picture({ file, title }) {
  return [`![${title}](${file})`, ""];
}

function renderCheckpoints({ checkpoints }) {
  if (checkpoints.length === 0) return [];
  const runs = checkpoints.map((one) => `${one.runs} (${heapName(one)})`).join(", ");
  const gaps = checkpoints.map((one) => `${digits(one.noiseMs)} ms (${heapName(one)})`).join(", ");
  return [
    "## Checkpoint",
    "",
    `Median (smallest to largest), tools in turn on the same process, which writes to 50 MiB/s of its pages where nothing else ` +
      `is said. *Stop* is the longest time the program itself stood still. A ratio below 1 means that \`cr\` is better. Runs: ${runs}.`,
    "",
    ...table(["heap", "tool", ...CHECKPOINT_HEADS], checkpoints.flatMap(checkpointRows)),
    "",
    `Longest gap with no tool at work: ${gaps}.`,
    "",
    describeTally(sumTallies(checkpoints.map(({ tally }) => tally))),
    "",
  ];
}

function checkpointRows(one) {
  const rows = Object.entries(one.samples)
    .filter(([, { stopMs }]) => stopMs.length > 0)
    .map(([tool, sample]) => [heapName(one), tool, ...MEASURES.map((measure) => cell(sample, measure))]);
  const { cr, ...peers } = one.samples;
  for (const [name, peer] of Object.entries(peers)) {
    if (peer.stopMs.length === 0) continue;
    const ratios = MEASURES.map((measure) =>
      measure === "slowPercent" ? "" : `**${digits(median(cr[measure]) / median(peer[measure]))}**`,
    );
    rows.push([heapName(one), `**cr / ${name}**`, ...ratios]);
  }
  return rows;
}

function renderBounds({ checkpoints }) {
  const rows = checkpoints
    .filter(({ bounds }) => bounds.length > 0)
    .map((one) => [
      heapName(one),
      "",
      ...["ddMs", "copyMs", "copyFreshMs"].map((bound) =>
        withRange(spread(one.bounds.map((each) => each[bound]))),
      ),
    ]);
  if (rows.length === 0) return [];
  return [
    "Bounds, by the same bytes in the same rounds:",
    "",
    ...table(["heap", "", "`dd oflag=direct`, ms", "copy in memory, ms", "into fresh memory, ms"], rows),
    "",
  ];
}

function renderWatches({ watches, incremental }) {
  const all = [...watches, ...(incremental ? [incremental] : [])];
  if (all.length === 0) return [];
  const rows = all.map((one) => [
    `${heapName({ mib: one.mib })}, ${one.workingMib ? `${one.workingMib} MiB rewritten every 3 s` : rateName(one.dirty)}`,
    `every ${intervalName(one.everyMs)}, ${one.taken} taken`,
    ...[one.slowPercent, one.gapMs, (100 * one.stolenMs) / one.watchedMs, one.stopMs, one.next.wallMs].map(
      digits,
    ),
    ...[one.next.diskBytes, one.next.writtenBytes].map((bytes) => digits(mib(bytes))),
  ]);
  return [
    "## Again and again",
    "",
    "`cr watch` of the program, after its first checkpoint. *Slower* is how much less the program gets done than alone.",
    "",
    ...table(["heap", "checkpoints", ...WATCH_HEADS], rows),
    "",
  ];
}

function renderRestores({ restores }) {
  if (restores.length === 0) return [];
  const rows = restores.flatMap((one) =>
    Object.entries(one.samples).map(([way, sample]) => [
      heapName(one),
      way,
      ...RESTORE_MEASURES.map((measure) => cell(sample, measure)),
      withRange(spread(one.freshMs)),
      withRange(spread(one.nodeMs)),
    ]),
  );
  const heads = ["heap", "way", ...RESTORE_HEADS, "reading it into fresh memory, ms", "start of Node, ms"];
  return [
    "## Restore",
    "",
    "`cr restore --detach` of a core of the same program, read from the page cache.",
    "",
    ...table(heads, rows),
    "",
  ];
}

function cell(sample, measure) {
  const values = measure.endsWith("Bytes") ? sample[measure].map(mib) : sample[measure];
  return withRange(spread(values));
}

function table(heads, rows) {
  const line = (cells) => `| ${cells.join(" | ")} |`;
  return [line(heads), line(heads.map((_, index) => (index < 2 ? "---" : "---:"))), ...rows.map(line)];
}
