/** Where threads run: the decision alone, on hosts this machine is not. */
import { describe, expect, test } from "vitest";
import { choosePlacement } from "../../src/cpus/placement.js";

const FOUR = { online: [0, 1, 2, 3], allowed: [0, 1, 2, 3] };

describe("without a wish", () => {
  test("threads keep their CPUs", () => {
    expect(choosePlacement([[0, 1], [3]], FOUR)).toEqual({
      affinity: [[0, 1], [3]],
      confineTo: undefined,
      lost: [],
    });
  });

  test("CPUs this host lacks are lost and told", () => {
    const placement = choosePlacement([[2, 3, 4, 5]], FOUR);
    expect(placement.affinity).toEqual([[2, 3]]);
    expect(placement.lost).toEqual([4, 5]);
  });

  test("a thread that ran on missing CPUs only is refused", () => {
    expect(() => choosePlacement([[0], [6, 7]], FOUR)).toThrow(
      expect.objectContaining({
        code: "CPU_UNAVAILABLE",
        message: "placing the program: a thread ran on CPU 6-7 only, this host allows 0-3",
        hint: "say where it may run: --cpus 0-3",
      }),
    );
  });

  test("the cpuset of cr counts, not only what is online", () => {
    expect(choosePlacement([[0, 1, 2, 3]], { ...FOUR, allowed: [1, 2] }).affinity).toEqual([[1, 2]]);
  });
});

describe("with a wish", () => {
  test("a program placed as a whole moves as a whole", () => {
    expect(choosePlacement([[0], [0]], FOUR, [2, 3])).toEqual({
      affinity: [
        [2, 3],
        [2, 3],
      ],
      confineTo: [2, 3],
      lost: [],
    });
  });

  test("threads placed apart keep what they share with it, or get all of it", () => {
    expect(choosePlacement([[0, 1], [1, 2], [3]], FOUR, [1, 2]).affinity).toEqual([[1], [1, 2], [1, 2]]);
  });

  test("an offline CPU is refused", () => {
    expect(() => choosePlacement([[0]], { online: [0, 1], allowed: [0, 1, 2] }, [1, 2])).toThrow(
      expect.objectContaining({
        code: "CPU_UNAVAILABLE",
        message: "placing the program: CPU 2 is not online, asked CPUs must be",
        hint: "choose from 0-1",
      }),
    );
  });

  test("a CPU outside the own cpuset is refused", () => {
    expect(() => choosePlacement([[0]], { online: [0, 1, 2], allowed: [0] }, [0, 2])).toThrow(
      expect.objectContaining({
        code: "CPU_UNAVAILABLE",
        message: "placing the program: CPU 2 is outside the cpuset of cr (0)",
      }),
    );
  });

  test("no CPU at all is refused", () => {
    expect(() => choosePlacement([[0]], FOUR, [])).toThrow(
      expect.objectContaining({ code: "CPU_UNAVAILABLE" }),
    );
  });
});
