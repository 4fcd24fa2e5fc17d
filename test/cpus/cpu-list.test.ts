/** The kernel's list form of CPU sets: both directions, and what is not a list. */
import { describe, expect, test } from "vitest";
import { formatCpuList, parseCpuList } from "../../src/cpus/cpu-list.js";

describe("parseCpuList", () => {
  test.each([
    ["0", [0]],
    ["0,2-3", [0, 2, 3]],
    ["3,0-1,1", [0, 1, 3]],
    [" 4 , 6-7\n", [4, 6, 7]],
  ])("reads %j", (text, cpus) => {
    expect(parseCpuList(text)).toEqual(cpus);
  });

  test.each(["", "a", "1-", "3-1", "0,,1", "-1", "99999", "0-8192", "0x1"])("refuses %j", (text) => {
    expect(() => parseCpuList(text)).toThrow(
      expect.objectContaining({ code: "USAGE", hint: "write it like 0,2-3" }),
    );
  });

  test("reads an empty file as an empty set only when told to", () => {
    expect(parseCpuList("\n", { allowEmpty: true })).toEqual([]);
  });
});

describe("formatCpuList", () => {
  test.each([
    [[], ""],
    [[3], "3"],
    [[3, 2, 0, 2], "0,2-3"],
    [[0, 1, 2, 5, 7, 8], "0-2,5,7-8"],
  ])("writes %j", (cpus, text) => {
    expect(formatCpuList(cpus)).toBe(text);
  });
});
