// How long restores of a heap take, from a plain and from a compressed core, beside reading the same file into fresh
// anonymous memory, in turns: node bench/fill.mjs [MIB] [RUNS] [FOLDER]. Prints medians; writes nothing.
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, statSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { endHeap, startHeap } from "./heap.mjs";
import { digits, median } from "./stats.mjs";
import { restoreCommand, runMeasured, TOOLS } from "./tools.mjs";

const HERE = fileURLToPath(new URL(".", import.meta.url));
const [mib = "2048", runs = "5", out = HERE.slice(0, -1)] = process.argv.slice(2);

async function main() {
  execFileSync("make", ["-s", "-C", HERE]);
  const folder = mkdtempSync(`${out}/fill-`);
  const heap = await startHeap({ mib: Number(mib), dirtyMibPerS: 0, folder });
  const cores = { plain: `${folder}/plain.${heap.pid}`, compressed: `${folder}/zstd.${heap.pid}` };
  try {
    const cr = TOOLS.find(({ name }) => name === "cr");
    await runMeasured(cr.checkpoint(heap.pid, cores.plain), folder);
    await runMeasured([...cr.checkpoint(heap.pid, cores.compressed), "--compress", "zstd:1"], folder);
    const samples = { fresh: [], plain: [], compressed: [] };
    // The first of each warms up.
    for (let round = 0; round <= Number(runs); round++) {
      const found = {
        fresh: { ms: Number(execFileSync(`${HERE}bin/fresh`, [cores.plain], { encoding: "utf8" })) },
      };
      for (const form of ["plain", "compressed"])
        found[form] = await restoreOnce(heap, { core: cores[form], folder });
      if (round > 0) for (const [name, sample] of Object.entries(found)) samples[name].push(sample);
    }
    for (const [name, all] of Object.entries(samples)) print(name, all, cores);
    const ratio = median(samples.plain.map(({ ms }) => ms)) / median(samples.fresh.map(({ ms }) => ms));
    console.log(`plain restore / fresh read: ${ratio.toFixed(2)}`);
  } finally {
    await endHeap(heap);
    rmSync(folder, { recursive: true, force: true });
  }
}

/** From the call of `restore` to the program's first instruction, and the peak memory of cr. */
async function restoreOnce(heap, { core, folder }) {
  await endHeap(heap);
  const { output, peakBytes } = await runMeasured(restoreCommand(core), folder);
  return { ms: JSON.parse(output).totalMs, peakBytes };
}

function print(name, all, cores) {
  const { size } = statSync(cores[name] ?? cores.plain);
  const peak = all[0]?.peakBytes
    ? `, cr ${digits(median(all.map(({ peakBytes }) => peakBytes)) / 2 ** 20)} MiB`
    : "";
  const ms = median(all.map((sample) => sample.ms));
  console.log(`${name.padEnd(10)} ${digits(ms)} ms, file ${digits(size / 2 ** 20)} MiB${peak}`);
}

await main();
