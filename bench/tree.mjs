// A tree of processes (family.c): how long it stands still while cr saves it as one, beside gcore on one member after the
// other. Stop of cr: the longest that any member saw; of gcore: the sum of what each saw while it was its turn.
import { spawn } from "node:child_process";
import { existsSync, readFileSync, rmSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { endHeap, longestGapMs, resetGap } from "./heap.mjs";
import { digits, median, spread, withRange } from "./stats.mjs";
import { runMeasured } from "./tools.mjs";

const PROGRAM = fileURLToPath(new URL("bin/family", import.meta.url));
const START_MS_MAX = 60_000;
const NOISE_MS = 1_000;
const MEASURES = ["stopMs", "wallMs"];

/**
 * `{count, mib, noiseMs, samples: {tool: {stopMs: [...], wallMs: [...]}}}` of a tree of `count` processes with `mib` MiB
 * in all, of cr and gcore among the tools. They alternate; the first round warms up and is not counted.
 */
export async function compareTrees({ count, mib, runs, folder, tools: all }) {
  const tools = all.filter(({ name }) => name === "cr" || name === "gcore");
  const members = await startFamily({ count, mib, folder });
  const samples = Object.fromEntries(
    tools.map(({ name }) => [name, Object.fromEntries(MEASURES.map((measure) => [measure, []]))]),
  );
  try {
    await Promise.all(members.map(resetGap));
    await sleep(NOISE_MS);
    const noiseMs = Math.max(...(await Promise.all(members.map(longestGapMs))));
    for (let round = 0; round <= runs; round++) {
      for (const tool of round % 2 === 0 ? tools : [...tools].reverse()) {
        const takesTrees = tool.name === "cr";
        const groups = takesTrees ? [members] : members.map((member) => [member]);
        const sample = await checkpointGroups({ groups, tool, folder });
        if (round === 0) continue;
        for (const measure of MEASURES) samples[tool.name][measure].push(sample[measure]);
      }
    }
    return { count, mib, noiseMs, samples };
  } finally {
    for (const member of members.slice(1)) process.kill(member.pid, "SIGKILL");
    await endHeap(members[0]);
  }
}

/** The members, the root first, as heap.mjs talks to them; each with its part of the memory filled. */
async function startFamily({ count, mib, folder }) {
  const control = `${folder}/family`;
  const args = [control, count, Math.round(mib / count), process.pid].map(String);
  const launcher = spawn(PROGRAM, args, { stdio: "inherit" });
  const members = Array.from({ length: count }, (_, number) => ({ control: `${control}.${number}`, pid: 0 }));
  const deadline = Date.now() + START_MS_MAX;
  for (const member of members) {
    while (member.pid === 0) {
      if (launcher.exitCode !== null || Date.now() > deadline) {
        throw new Error(`the family of ${count} processes did not start`);
      }
      await sleep(5);
      const page = existsSync(member.control) ? readFileSync(member.control) : Buffer.alloc(0);
      member.pid = page.length < 8 ? 0 : Number(page.readBigUInt64LE());
    }
  }
  return members;
}

/** One core, or folder of cores, after the other, each removed at once: the stops and times of all together. */
async function checkpointGroups({ groups, tool, folder }) {
  const sum = { stopMs: 0, wallMs: 0 };
  for (const group of groups) {
    const core = `${folder}/${tool.name}-tree.${group[0].pid}`;
    await Promise.all(group.map(resetGap));
    const { wallMs } = await runMeasured(tool.checkpoint(group[0].pid, core), folder);
    const gaps = await Promise.all(group.map(longestGapMs));
    rmSync(core, { recursive: true });
    sum.stopMs += Math.max(...gaps);
    sum.wallMs += wallMs;
  }
  return sum;
}

/** Lines of the page of results. */
export function renderTree({ count, mib, noiseMs, samples }) {
  const rows = Object.entries(samples).map(([tool, sample]) => [
    tool,
    ...MEASURES.map((measure) => withRange(spread(sample[measure]))),
  ]);
  const { cr, gcore } = samples;
  if (cr && gcore) {
    const ratios = MEASURES.map((measure) => digits(median(cr[measure]) / median(gcore[measure])));
    rows.push(["**cr / gcore**", ...ratios.map((ratio) => `**${ratio}**`)]);
  }
  return [
    "## Tree",
    "",
    `A process and its ${count - 1} children with ${mib} MiB in all. *Stop* of \`cr\` is the longest that any of them stood ` +
      "still; `gcore` takes one process at a time, and its stops and times are summed up. Longest gap with no tool at " +
      `work: ${digits(noiseMs)} ms.`,
    "",
    "| tool | stop, ms | wall, ms |",
    "| --- | ---: | ---: |",
    ...rows.map((cells) => `| ${cells.join(" | ")} |`),
    "",
  ];
}
