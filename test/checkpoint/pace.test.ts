/** How much of the machine a checkpoint takes: parts that wait their turn, and a stop that must not last longer. */
import { expect, test } from "vitest";
import { Pace } from "../../src/checkpoint/pace.js";
import { CrError } from "../../src/errors.js";

const MIB = 1 << 20;

/** What a stop of `lastedMs` has to say with so much left to copy; null when it may go on. */
function saidAfter(lastedMs: number, maxStopMs: number | undefined, leftBytes: number): string | null {
  const pace = new Pace({ pid: 7, ...(maxStopMs !== undefined && { maxStopMs }) });
  pace.stops();
  const end = performance.now() + lastedMs;
  while (performance.now() < end);
  try {
    pace.standing.before?.(MIB, leftBytes);
    return null;
  } catch (error) {
    expect(error).toBeInstanceOf(CrError);
    return `${(error as CrError).code}: ${(error as CrError).message}`;
  }
}

test("a limit holds the average of what is written, whatever the parts are", () => {
  const { before, partBytes } = new Pace({ limitBytesPerS: 100 * MIB }).running;
  expect(partBytes).toBe(5 * MIB);
  const start = performance.now();
  for (const mib of [5, 1, 5, 3, 6]) before?.(mib * MIB, 0);
  // The last part does not wait for itself.
  expect(performance.now() - start).toBeGreaterThan(138);
});

test("without a limit nothing waits, and in a stop never", () => {
  expect(new Pace().running).toMatchObject({ gently: true });
  expect(new Pace().running.before).toBeUndefined();
  expect(new Pace({ limitBytesPerS: MIB, threads: 3 }).standing).toEqual({ threads: 3 });
  expect(new Pace({ limitBytesPerS: MIB, goesOn: false, threads: 3 }).later).toEqual({ threads: 3 });
  expect(new Pace({ limitBytesPerS: MIB }).later.before).toBeDefined();
});

test("two copies at a time share the threads, and there is one where a limit or a single thread forbids", () => {
  expect(new Pace({ threads: 5 }).runningHalf).toEqual({ threads: 2, diskThreads: 2, gently: true });
  expect(new Pace({ threads: 1 }).runningHalf).toBeNull();
  expect(new Pace({ limitBytesPerS: MIB }).runningHalf).toBeNull();
  const { threads = 0, diskThreads = 0 } = new Pace().runningHalf ?? {};
  const whole = new Pace().running;
  expect(2 * threads).toBeLessThanOrEqual(whole.threads);
  expect(2 * diskThreads).toBeLessThanOrEqual(whole.diskThreads ?? 0);
});

test("a stop that lasts longer than it may is refused while it lasts, and says for how long it would have been", () => {
  expect(saidAfter(30, undefined, MIB)).toBeNull();
  expect(saidAfter(0, 60_000, MIB)).toBeNull();
  const [, stood, expected] =
    /^STOP_TOO_LONG: cannot checkpoint process 7: it has stood still for (\d+) ms and would for about (\d+) ms, allowed are 20 ms; it goes on$/.exec(
      saidAfter(30, 20, 100 * MIB) ?? "",
    ) ?? [];
  expect(Number(stood)).toBeGreaterThanOrEqual(30);
  expect(Number(expected) - Number(stood)).toBeGreaterThanOrEqual(39);
});
