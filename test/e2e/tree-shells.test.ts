/** Shells with what shells have: traps, a coprocess, background jobs, xargs. Killed in the middle, they end as they should. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { throughLives } from "../harness/lives.js";
import { withScene } from "../harness/scene.js";

/** Squares by a coprocess while signals come in; a read that a signal ends is made again. */
const TRAPS = `
caught=0
trap 'caught=$((caught + 1))' USR1
coproc SQUARE { while read -r number; do echo $((number * number)); done; }
pester() { while [ ! -e go ]; do kill -USR1 $$ || break; sleep 0.02; done; }
pester &
until [ $caught -gt 0 ]; do sleep 0.01; done
for ((asked = 1; asked < 300; asked++)); do
  echo $asked >&"\${SQUARE[1]}"
  answer=
  until read -r -u "\${SQUARE[0]}" answer; do :; done
  [ $answer = $((asked * asked)) ] || { echo "$answer is not the square of $asked"; exit 1; }
  [ $asked != 20 ] || echo working
  [ -e go ] || asked=$((asked > 250 ? 250 : asked))
done
wait $!
echo ok
`;

test("a shell with traps and a coprocess, twice", { timeout: 120_000 }, () =>
  withScene(async (scene) => {
    const script = join(scene.folder, "script.sh");
    writeFileSync(script, TRAPS);
    const target = await throughLives(scene, {
      argv: ["/bin/bash", script],
      times: 2,
      started: (running) => running.says("working"),
    });
    expect(target.output()).toBe("working\nok\n");
  }),
);

/** Four at a time from a list that goes on after the restore, then jobs that are waited for. */
const JOBS = `
list() { seq 100; echo working >&2; until [ -e go ]; do sleep 0.02; done; seq 101 200; }
list | xargs -P4 -n5 sh -c 'for x in "$@"; do echo $((x * x)); sleep 0.01; done' _ > squares
sort -n squares | cksum
for job in 1 2 3 4; do (sum=0; for i in $(seq 200); do sum=$((sum + i * job)); done; echo $sum > job$job) & done
wait
cat job?
`;

test("xargs with four at a time, and jobs that are waited for", { timeout: 120_000 }, () =>
  withScene(async (scene) => {
    const script = join(scene.folder, "script.sh");
    writeFileSync(script, `exec 2>&1\n${JOBS}`);
    const target = await throughLives(scene, {
      argv: ["/bin/bash", script],
      times: 2,
      started: (running) => running.says("working"),
    });
    // The first is that of the squares of 1 to 200.
    expect(target.output()).toBe("working\n544133954 1058\n20100\n40200\n60300\n80400\n");
  }),
);
