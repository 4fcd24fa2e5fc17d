/** Times, counts and pids on the command line. */
import { expect, test } from "vitest";
import { parseBytes, parseCount, parseDurationMs, parsePid } from "../../src/cli/duration.js";
import { formatBytes } from "../../src/cli/size.js";

test.each([
  ["500ms", 500],
  ["5s", 5000],
  ["1.5m", 90_000],
  ["1h", 3_600_000],
  [" 2d ", 172_800_000],
])("%j is %i ms", (text, ms) => {
  expect(parseDurationMs(text)).toBe(ms);
});

test.each(["", "5", "s", "0s", "-1s", "1e3s", "5 s", "1.2345s", "5sec"])("%j is no time", (text) => {
  expect(() => parseDurationMs(text)).toThrow("write a time above zero with its unit");
});

test.each([
  ["200M", 200 * 2 ** 20],
  ["1.5G", 1.5 * 2 ** 30],
  [" 512K ", 2 ** 19],
  ["64MiB", 2 ** 26],
])("%j are %i bytes", (text, bytes) => {
  expect(parseBytes(text)).toBe(bytes);
});

test.each(["", "200", "M", "0M", "-1M", "1e3M", "5 M", "5m"])("%j is no amount", (text) => {
  expect(() => parseBytes(text)).toThrow("write an amount above zero with its unit");
});

test.each(["0", "-1", "1.5", "three", ""])("%j is no count", (text) => {
  expect(() => parseCount(text)).toThrow("write a whole number of at least 1");
  expect(parseCount("12")).toBe(12);
});

test.each(["0", "self", "4294967296", ""])("%j is no pid", (text) => {
  expect(() => parsePid(text)).toThrow("write a pid");
  expect(parsePid("4194304")).toBe(4194304);
});

test.each([
  [812, "812 bytes"],
  [4096, "4.0 KiB"],
  [1.5 * 2 ** 30, "1.5 GiB"],
  [2 ** 52, "4096.0 TiB"],
])("%d bytes read %j", (bytes, text) => {
  expect(formatBytes(bytes)).toBe(text);
});
