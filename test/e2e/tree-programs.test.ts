/** Real programs of many processes, killed in the middle and restored: their output is that of an undisturbed run. */
import { execFileSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { describeResult } from "../harness/cr.js";
import { type Scene, withScene } from "../harness/scene.js";
import type { Target } from "../harness/target.js";
import { checkpointTree, killTree, membersOf, type RestoredTree, restoreTree } from "../harness/tree.js";

/** Starts a program, which works until the file `go` appears, and takes it through `times` lives to its end. */
async function throughLives(
  scene: Scene,
  {
    argv,
    times,
    started,
  }: { argv: readonly string[]; times: number; started: (target: Target) => Promise<void> },
): Promise<Target> {
  const target = await scene.start(argv);
  await started(target);
  let life = target as { pid: number; startTicks: string };
  let restored: RestoredTree | null = null;
  for (let cycle = 1; cycle <= times; cycle += 1) {
    const bundle = join(scene.folder, `bundle.${cycle}`);
    await checkpointTree(scene, { target: life, bundle });
    await killTree(scene, membersOf(bundle));
    restored = await restoreTree(scene, { bundle });
    if (restored.root === null) throw new Error(describeResult(await restored.cr.done));
    life = restored.root;
  }
  target.go();
  const end = await restored?.cr.done;
  expect(end?.status, end && describeResult(end)).toBe(0);
  return target;
}

/** Small pipelines until it may go on, or as often as its argument says; every line of output hangs on all before it. */
const PIPELINES = `
sum=start
limit=$1
for ((i = 1; limit == 0 || i <= limit; i++)); do
  if [ $limit = 0 ] && [ -e go ]; then break; fi
  sum=$(seq 1 400 | awk -v s="$sum" -v i=$i '{ print $1 * i, s }' | sed 's/1/one/g' | sort | cksum | tr ' ' '-')
  echo "$i $sum"
done
`;

test(
  "a shell script with pipelines, five times",
  () =>
    withScene(async (scene) => {
      const script = join(scene.folder, "script.sh");
      writeFileSync(script, PIPELINES);
      const target = await throughLives(scene, {
        argv: ["/bin/bash", script, "0"],
        times: 5,
        started: (running) => running.says("\n3 "),
      });
      const lines = target.output().trimEnd().split("\n").length;
      expect(lines).toBeGreaterThan(10);
      const env = { PATH: process.env.PATH, LC_ALL: "C" };
      expect(target.output()).toBe(execFileSync("bash", [script, `${lines}`], { env, encoding: "utf8" }));
    }),
  180_000,
);

test(
  "gzip, gunzip and sha512sum in a pipeline",
  () =>
    withScene(async (scene) => {
      const data = join(scene.folder, "data");
      let text = "";
      for (let line = 0; text.length < 10_000_000; line += 1)
        text += `${line} ${line * line} ${line % 7919}\n`;
      writeFileSync(data, text);
      const source = `{ cat ${data}; while [ ! -e go ]; do sleep 0.05; done; cat ${data}; }`;
      const target = await throughLives(scene, {
        argv: ["/bin/sh", "-c", `echo begin; ${source} | gzip -9 | gunzip | sha512sum; echo end`],
        times: 2,
        started: (running) => running.says("begin"),
      });
      const expected = execFileSync("sha512sum", { input: text + text, encoding: "utf8" });
      expect(target.output()).toBe(`begin\n${expected}end\n`);
    }),
  120_000,
);
