/** Schedules on the real clock, with the event loop blocked as a checkpoint blocks it. */
import { setTimeout as sleep } from "node:timers/promises";
import { describe, expect, test } from "vitest";
import { cronSchedule, everySchedule, runSchedule, type Schedule } from "../../src/supervise/schedule.js";

/** Runs a schedule for some time; `action` is told how many runs there were before. */
async function ticksOf(schedule: Schedule, forMs: number, action = async (_before: number) => {}) {
  const times: number[] = [];
  const running = runSchedule(schedule, async () => {
    times.push(performance.now());
    await action(times.length - 1);
  });
  await sleep(forMs);
  await running.stop();
  const count = times.length;
  await sleep(50);
  expect(times, "ticks after stop").toHaveLength(count);
  return times;
}

function block(ms: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
}

describe("every", () => {
  test("ticks at once and then each period, without drift", async () => {
    const times = await ticksOf(everySchedule(100), 560);
    expect(times).toHaveLength(6);
    for (const [index, time] of times.entries()) {
      expect(Math.abs(time - (times[0] ?? 0) - index * 100)).toBeLessThan(60);
    }
  });

  test("periods lost in a blocked loop become one tick", async () => {
    const times = await ticksOf(everySchedule(50), 480, async (before) => {
      if (before === 1) block(200);
    });
    // 0, 50 (blocks to 250), one late at 250, then 300, 350, 400, 450.
    expect(times.length).toBeGreaterThanOrEqual(6);
    expect(times.length).toBeLessThanOrEqual(8);
  });

  test("a slow run is followed by one made up for, never overlapped", async () => {
    let running = 0;
    const times = await ticksOf(everySchedule(40), 400, async () => {
      running += 1;
      expect(running).toBe(1);
      await sleep(100);
      running -= 1;
    });
    expect(times.length).toBeGreaterThanOrEqual(3);
    expect(times.length).toBeLessThanOrEqual(5);
  });

  test.each([0, 9, Number.NaN, 2 ** 31])("refuses %d ms", (periodMs) => {
    expect(() => everySchedule(periodMs)).toThrow(expect.objectContaining({ code: "USAGE" }));
  });
});

describe("cron", () => {
  test("ticks at the full second", async () => {
    const wallMs: number[] = [];
    await ticksOf(cronSchedule("* * * * * *"), 2100, async () => {
      wallMs.push(Date.now());
    });
    expect(wallMs.length).toBeGreaterThanOrEqual(2);
    for (const time of wallMs) expect(time % 1000).toBeLessThan(300);
  });

  test("seconds lost in a blocked loop become one tick", async () => {
    const times = await ticksOf(cronSchedule("* * * * * *"), 4100, async (before) => {
      if (before === 0) block(2500);
    });
    // One tick, 2.5 s blocked (two seconds pass), one late tick, then the next full second.
    expect(times.length).toBeGreaterThanOrEqual(2);
    expect(times.length).toBeLessThanOrEqual(4);
  });

  test.each(["", "banana", "* * *", "99 * * * * *"])("refuses the pattern %j", (pattern) => {
    expect(() => cronSchedule(pattern)).toThrow(
      expect.objectContaining({ code: "USAGE", hint: expect.stringContaining("*/5 * * * * *") }),
    );
  });
});
