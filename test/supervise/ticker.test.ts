/** Ticks and runs: no overlap, and one run made up for, however many ticks came in between. */
import { setTimeout as sleep } from "node:timers/promises";
import { expect, test } from "vitest";
import { makeTicker } from "../../src/supervise/ticker.js";

/** An action that takes `ms` and keeps count of its runs and of how many ran at once. */
function counted(ms: number) {
  const seen = { runs: 0, atOnce: 0, mostAtOnce: 0 };
  const action = async () => {
    seen.runs += 1;
    seen.atOnce += 1;
    seen.mostAtOnce = Math.max(seen.mostAtOnce, seen.atOnce);
    await sleep(ms);
    seen.atOnce -= 1;
  };
  return { seen, ticker: makeTicker(action) };
}

test("a tick while nothing runs is a run", async () => {
  const { seen, ticker } = counted(1);
  ticker.due();
  await sleep(20);
  ticker.due();
  await ticker.stop();
  expect(seen.runs).toBe(2);
});

test("ticks during a run become one run after it", async () => {
  const { seen, ticker } = counted(20);
  for (let tick = 0; tick < 5; tick += 1) ticker.due();
  await sleep(80);
  await ticker.stop();
  expect(seen).toMatchObject({ runs: 2, mostAtOnce: 1 });
});

test("stop waits for the run under way and starts no other", async () => {
  const { seen, ticker } = counted(20);
  ticker.due();
  ticker.due();
  await ticker.stop();
  expect(seen).toMatchObject({ runs: 1, atOnce: 0 });
  ticker.due();
  expect(seen.runs).toBe(1);
});
