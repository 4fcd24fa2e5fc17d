/** The foothold in a newborn: an address nothing is near, calls that say what failed, and no trace at the end. */
import { describe, expect, test } from "vitest";
import { freeAddress, type Range, Workshop } from "../../src/restore/workshop.js";
import { USER_END } from "../../src/state/address.js";
import { parseSmaps, readMapsText } from "../../src/tracee/maps.js";
import { readMemory } from "../../src/tracee/memory.js";
import { Newborn } from "../../src/tracee/newborn.js";
import { findSyscall } from "../../src/tracee/site.js";
import { errorOf } from "../checkpoint/frozen.js";
import { fixture } from "../harness/target.js";

const MARGIN = 0x200_0000n;

describe("freeAddress", () => {
  test.each<[string, Range[]]>([
    ["an empty address space", []],
    ["taken low memory", [{ start: 0x1000n, end: 0x2000_0000n }]],
    [
      "ranges that overlap, in any order",
      [
        { start: 0x9000_0000n, end: 0xa000_0000n },
        { start: 0x1000_0000n, end: 0x8000_0000n },
        { start: 0x1100_0000n, end: 0x1200_0000n },
      ],
    ],
    ["ranges with odd ends", [{ start: 0x1000_0001n, end: 0x1234_5678n }]],
    ["a range in the kernel's half", [{ start: 0xffff_ffff_ff60_0000n, end: 0xffff_ffff_ff60_1000n }]],
  ])("keeps clear of %s", (_what, taken) => {
    const size = 100_000;
    const at = freeAddress(taken, size);
    expect(at % 4096n).toBe(0n);
    expect(at).toBeGreaterThanOrEqual(0x1000_0000n);
    expect(at + BigInt(size)).toBeLessThan(USER_END);
    for (const { start, end } of taken) {
      expect(at + BigInt(size) + MARGIN <= start || at >= end + MARGIN).toBe(true);
    }
  });

  test("takes a gap that just fits, and none that is a page too small", () => {
    const gap = (pages: bigint): Range[] => [
      { start: 0x1000_0000n, end: 0x2000_0000n },
      { start: 0x2000_0000n + 2n * MARGIN + pages * 4096n, end: USER_END - MARGIN },
    ];
    expect(freeAddress(gap(3n), 3 * 4096)).toBe(0x2000_0000n + MARGIN);
    expect(errorOf(() => freeAddress(gap(2n), 3 * 4096))).toMatchObject({ code: "RESTORE_FAILED" });
  });
});

/** A newborn at its entry point, with a workshop. */
function withWorkshop(act: (workshop: Workshop, newborn: Newborn) => void): void {
  using newborn = Newborn.spawn({
    exe: fixture("counter"),
    pid: null,
    group: "session",
    personality: 0x0004_0000,
    clocks: "",
    fds: [],
    fdBase: 64,
  });
  const entry = newborn.runToEntry();
  const start = freeAddress(parseSmaps(readMapsText(newborn.pid)), 8192 + 4096);
  act(Workshop.open(newborn, entry, { start, dataBytes: 4096 }), newborn);
}

describe("Workshop", () => {
  test("runs calls on arguments that it puts into the newborn, and goes without a trace", () =>
    withWorkshop((workshop, newborn) => {
      const before = parseSmaps(readMapsText(newborn.pid));
      expect(before.filter(({ start }) => start >= workshop.start && start < workshop.end)).toHaveLength(2);
      expect(workshop.run("ask for its pid", [{ name: "getpid", args: [] }])).toEqual([BigInt(newborn.pid)]);
      workshop.run("name it", [{ name: "prctl", args: [15, workshop.data] }], Buffer.from("newborn\0"));
      expect(readMemory(newborn.pid, workshop.data, 8).toString()).toBe("newborn\0");
      expect(workshop.run("do nothing", [])).toEqual([]);
      const syscallAt =
        findSyscall(
          newborn.pid,
          before.filter(({ start }) => start !== workshop.start),
        ) ?? 0n;
      workshop.leave(syscallAt);
      const after = parseSmaps(readMapsText(newborn.pid));
      expect(after).toHaveLength(before.length - 2);
    }));

  test("says what could not be done, by which call, and why", () =>
    withWorkshop((workshop) => {
      const calls = [
        { name: "getpid", args: [] },
        { name: "mlock", args: [0x1234_5000n, 4096n] },
      ] as const;
      expect(errorOf(() => workshop.run("lock its memory", calls))).toMatchObject({
        code: "RESTORE_FAILED",
        message: "cannot lock its memory: mlock failed with ENOMEM",
        hint: expect.stringMatching(/ulimit/),
        data: { call: "mlock", args: "0x12345000, 0x1000", errno: "ENOMEM" },
      });
      const data = Buffer.alloc(8193);
      expect(() => workshop.run("write", [], data)).toThrow(RangeError);
    }));

  test("runs more calls than one batch holds", () =>
    withWorkshop((workshop, newborn) => {
      const calls = Array.from({ length: 5000 }, () => ({ name: "getpid", args: [] }) as const);
      const results = workshop.run("ask often", calls);
      expect(results).toHaveLength(5000);
      expect(new Set(results)).toEqual(new Set([BigInt(newborn.pid)]));
    }));
});
