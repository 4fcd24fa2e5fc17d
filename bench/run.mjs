// npm run bench: checkpoints and restores by cr beside every peer on PATH, on the same programs in the same run.
// Options: --quick (small heaps, few runs, results only printed), --tools cr,gcore,criu,dmtcp, --only checkpoints,trees,
// watches,restores, --out FOLDER (where cores go; default bench/out). A full run writes docs/bench.
import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { compareCheckpoints } from "./checkpoints.mjs";
import { watchOnce } from "./continuous.mjs";
import { describeMachine } from "./machine.mjs";
import { FULL, heapName, intervalName, QUICK, whyTooLarge } from "./plan.mjs";
import { drawPlots } from "./plots.mjs";
import { renderReport } from "./report.mjs";
import { measureRestores } from "./restores.mjs";
import { TOOLS } from "./tools.mjs";
import { compareTrees } from "./tree.mjs";

const HERE = fileURLToPath(new URL(".", import.meta.url));
const DOCS = fileURLToPath(new URL("../docs/bench", import.meta.url));
const CHAPTERS = ["checkpoints", "trees", "watches", "restores"];

async function main() {
  const { values: options } = parseArgs({
    options: {
      quick: { type: "boolean", default: false },
      tools: { type: "string", default: TOOLS.map(({ name }) => name).join() },
      only: { type: "string", default: CHAPTERS.join() },
      out: { type: "string", default: `${HERE}out` },
    },
  });
  const chosen = options.tools.split(",");
  const tools = TOOLS.filter(({ name }) => chosen.includes(name));
  build();
  mkdirSync(options.out, { recursive: true });
  const folder = mkdtempSync(`${realpathSync(options.out)}/run-`);
  try {
    const plan = options.quick ? QUICK : FULL;
    const usable = tools.filter(isThere);
    const measured = await measure({ plan, usable, folder, only: options.only.split(",") });
    const results = { ...measured, tools, machine: describeMachine(folder, tools) };
    const isWhole = !options.quick && options.only === CHAPTERS.join();
    const plots = isWhole ? drawPlots(results) : [];
    const page = renderReport(
      results,
      Object.fromEntries(CHAPTERS.map((chapter) => [chapter, of(plots, chapter)])),
    );
    console.log(page);
    if (isWhole) publish(page, plots);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function of(plots, wanted) {
  return plots.filter(({ chapter }) => chapter === wanted);
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
  if (made.status !== 0) throw new Error("cannot build bench/*.c: needs gcc, make and libc6-dev");
}

async function measure({ plan, usable, folder, only }) {
  const results = { checkpoints: [], trees: [], watches: [], restores: [], incremental: null, skipped: [] };
  const step = async (chapter, of, act) => {
    if (!only.includes(chapter)) return [];
    const why = whyTooLarge(of, folder);
    const name = `${chapter}, ${heapName(of)}${of.everyMs ? `, every ${intervalName(of.everyMs)}` : ""}`;
    console.error(why === null ? `bench: ${name}` : `bench: skipped: ${name}: ${why}`);
    if (why !== null) results.skipped.push(`${name}: ${why}`);
    return why === null ? [await act()] : [];
  };
  for (const one of plan.checkpoints) {
    const found = await step("checkpoints", one, () =>
      compareCheckpoints({ plan: one, folder, tools: usable }),
    );
    results.checkpoints.push(...found);
  }
  for (const one of plan.trees) {
    results.trees.push(...(await step("trees", one, () => compareTrees({ ...one, folder, tools: usable }))));
  }
  for (const one of plan.watches) {
    results.watches.push(...(await step("watches", one, () => watchOnce({ ...one, folder }))));
  }
  const { incremental } = plan;
  [results.incremental = null] = await step("watches", incremental, () =>
    watchOnce({ ...incremental, folder }),
  );
  for (const one of plan.restores) {
    results.restores.push(...(await step("restores", one, () => measureRestores({ plan: one, folder }))));
  }
  return results;
}

function publish(page, plots) {
  mkdirSync(DOCS, { recursive: true });
  for (const { file, svg } of plots) writeFileSync(`${DOCS}/${file}`, svg);
  writeFileSync(`${DOCS}/results.md`, page);
  console.error(`bench: written to ${DOCS}`);
}

try {
  await main();
} catch (error) {
  console.error(`bench: ${error.message}`);
  process.exitCode = 1;
}
