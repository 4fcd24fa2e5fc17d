/** The text of /proc/PID/timers. */
import { expect, test } from "vitest";
import { refusedTimers } from "../../src/checkpoint/posix-timers.js";
import { parseTimers } from "../../src/tracee/posix-timers.js";

const TEXT = `ID: 7
signal: 34/00000000deadbeef
notify: signal/tid.4242
ClockID: 3
ID: 0
signal: 14/0
notify: none/pid.4241
ClockID: -33938
`;

test("parses every timer, ascending by id", () => {
  expect(parseTimers("")).toEqual([]);
  expect(parseTimers(TEXT)).toEqual([
    { id: 0, signal: 14, value: 0n, notify: "none", tid: null, clock: -33938 },
    { id: 7, signal: 34, value: 0xdeadbeefn, notify: "signal", tid: 4242, clock: 3 },
  ]);
});

test("says when it cannot be read", () => {
  expect(() => parseTimers("ID: 7\nsignal: what\n")).toThrow(RangeError);
});

test("refuses CPU clocks of one of several threads, and clocks of devices", () => {
  expect(refusedTimers(TEXT, 1)).toEqual([]);
  expect(refusedTimers(TEXT, 2).map(({ id }) => id)).toEqual(["timer:7"]);
  expect(refusedTimers(TEXT.replace("ClockID: 3", `ClockID: ${(~5 << 3) | 3}`), 1)).toHaveLength(1);
});
