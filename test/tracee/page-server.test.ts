/** What the page server of a lazy restore is told is checked by itself, since it comes out of cores. */
import { closeSync, openSync } from "node:fs";
import { afterAll, expect, test } from "vitest";
import type { PageRun } from "../../src/state/pages.js";
import { PageServer, type Served, SOURCES_MAX } from "../../src/tracee/page-server.js";

const NULL_FD = openSync("/dev/null", "r");
afterAll(() => closeSync(NULL_FD));
const source = { path: "core", fd: NULL_FD, frames: null };

function run(page: number, pages: number, changes: Partial<PageRun> = {}): PageRun {
  const [address, lengthBytes] = [BigInt(page) * 0x1000n, pages * 0x1000];
  return { address, lengthBytes, fileOffset: 0, crc32c: 0, sameAsFile: false, ...changes };
}

/** Why it does not begin; it gets no userfaultfd, so that whatever is good ends there. */
function troubleWith(served: readonly Served[]): string {
  using server = PageServer.start(process.pid, NULL_FD, { areas: [], served, corePath: "core", pace: "" });
  const { code = "", what = "" } = server.awaitReady() ?? {};
  expect(code).toBe("RESTORE_FAILED");
  return what;
}

const of = (...runs: readonly PageRun[]): Served => ({ source, runs, name: "" });

test("runs of several cores are put in order", () => {
  const served = [of(run(20, 1), run(24, 1)), of(run(10, 2), run(21, 3)), of(run(12, 8))];
  expect(troubleWith(served)).toMatch(/^ask for the events of a userfaultfd: /);
});

test("what overlaps, is no whole page or more than a run holds is refused", () => {
  const refused = /^take the runs of the core: Invalid argument$/;
  expect(troubleWith([of(run(20, 2)), of(run(21, 1))])).toMatch(refused);
  expect(troubleWith([of(run(20, 1)), of(run(20, 1))])).toMatch(refused);
  expect(troubleWith([of(run(20, 257))])).toMatch(refused);
  expect(troubleWith([of(run(20, 0))])).toMatch(refused);
  expect(troubleWith([of(run(20, 1, { lengthBytes: 0x1800 }))])).toMatch(refused);
  expect(troubleWith([of(run(20, 1, { address: 0x14800n }))])).toMatch(refused);
});

test("no core, and more than it can hold, are refused", () => {
  expect(troubleWith([])).toMatch(/^take the cores: /);
  expect(troubleWith(Array(SOURCES_MAX).fill(of()))).toMatch(/^ask for the events/);
  expect(() => troubleWith(Array(SOURCES_MAX + 1).fill(of()))).toThrow("EINVAL");
});

test("a name that it cannot take is refused", () => {
  expect(troubleWith([{ ...of(run(20, 1)), name: "n".repeat(5000) }])).toMatch(/^read what cr tells: /);
});
