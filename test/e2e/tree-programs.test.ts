/** Real programs of many processes, killed in the middle and restored: their output is that of an undisturbed run. */
import { execFileSync } from "node:child_process";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { describeResult } from "../harness/cr.js";
import { eventually } from "../harness/eventually.js";
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
    extra = [],
  }: {
    argv: readonly string[];
    times: number;
    started: (target: Target) => Promise<void>;
    extra?: readonly string[];
  },
): Promise<Target> {
  const target = await scene.start(argv);
  await started(target);
  let life = target as { pid: number; startTicks: string };
  let restored: RestoredTree | null = null;
  for (let cycle = 1; cycle <= times; cycle += 1) {
    const bundle = join(scene.folder, `bundle.${cycle}`);
    await checkpointTree(scene, { target: life, bundle, extra });
    await killTree(scene, membersOf(bundle));
    restored = await restoreTree(scene, { target, bundle });
    if (restored.root === null)
      throw new Error(`${describeResult(await restored.cr.done)}${errorsOf(target)}`);
    life = restored.root;
  }
  target.go();
  const end = await restored?.cr.done;
  expect(end?.status, `${end && describeResult(end)}${errorsOf(target)}`).toBe(0);
  return target;
}

function errorsOf({ folder }: Target): string {
  return `\nits standard error: ${readFileSync(join(folder, "stderr"), "utf8")}`;
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

test(
  "make -j2 of a project of 200 C files",
  () =>
    withScene(async (scene) => {
      for (let index = 0; index < 200; index += 1) {
        const body = `int f${index}(int x) { return x * ${index + 1} + ${index % 7}; }\n`;
        writeFileSync(join(scene.folder, `f${index}.c`), body);
      }
      const names = Array.from({ length: 200 }, (_, index) => index);
      const calls = names.map((index) => `sum = sum * 31 + f${index}(sum & 255);`).join("\n");
      const main = `#include <stdio.h>\n${names.map((index) => `int f${index}(int);`).join("\n")}
int main(void) { unsigned sum = 1; ${calls} printf("%u\\n", sum); return 0; }\n`;
      writeFileSync(join(scene.folder, "main.c"), main);
      const makefile = `OBJECTS := $(patsubst %.c,%.o,$(wildcard *.c))
program: $(OBJECTS) gate
\tgcc -o $@ $(OBJECTS)
gate:
\twhile [ ! -e target0/go ]; do sleep 0.05; done
%.o: %.c
\tgcc -O1 -c -o $@ $<
`;
      writeFileSync(join(scene.folder, "Makefile"), makefile);
      const target = await throughLives(scene, {
        argv: ["/usr/bin/make", "-s", "-j2", "-C", scene.folder, "--no-print-directory", "program"],
        times: 2,
        // The compilers delete their files: what they delete after the checkpoint could not come back.
        extra: ["--kill"],
        started: () => eventually("it compiles", () => existsSync(join(scene.folder, "f1.o"))).then(() => {}),
      });
      expect(target.output()).toBe("");
      execFileSync("gcc", ["-O1", "-o", "expected", "main.c", ...names.map((index) => `f${index}.c`)], {
        cwd: scene.folder,
      });
      const run = (name: string) => execFileSync(join(scene.folder, name), { encoding: "utf8" });
      expect(run("program")).toBe(run("expected"));
    }),
  240_000,
);

/** Workers that get numbers through pipes and add them up in shared memory. */
const PYTHON = `
import mmap, multiprocessing as mp, os, struct

def work(index, pipe, shared):
    for number in iter(pipe.recv, None):
        total, = struct.unpack_from("q", shared, index * 8)
        struct.pack_into("q", shared, index * 8, total + number)
        pipe.send(number * number)

if __name__ == "__main__":
    mp.set_start_method("fork")
    shared = mmap.mmap(-1, 8192)
    ends = [mp.Pipe() for _ in range(3)]
    workers = [mp.Process(target=work, args=(i, end, shared)) for i, (_, end) in enumerate(ends)]
    for worker in workers: worker.start()
    count = 0
    while count < 300 or not os.path.exists("go"):
        pipe, _ = ends[count % 3]
        pipe.send(count)
        assert pipe.recv() == count * count
        count += 1
        if count == 50: print("working", flush=True)
    for pipe, _ in ends: pipe.send(None)
    for worker in workers: worker.join()
    total = sum(struct.unpack_from("3q", shared))
    codes = [worker.exitcode for worker in workers]
    print("ok" if total == count * (count - 1) // 2 and codes == [0, 0, 0] else f"{total} after {count}: {codes}")
`;

test(
  "workers of Python's multiprocessing",
  () =>
    withScene(async (scene) => {
      const script = join(scene.folder, "work.py");
      writeFileSync(script, PYTHON);
      const target = await throughLives(scene, {
        argv: ["/usr/bin/python3", script],
        times: 2,
        started: (running) => running.says("working"),
      });
      expect(target.output()).toBe("working\nok\n");
    }),
  120_000,
);
