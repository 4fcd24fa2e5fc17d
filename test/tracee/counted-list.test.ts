/** Lists that are read by another thread are those that are read at once. */
import { expect, test } from "vitest";
import { isErrno } from "../../src/errors.js";
import { CountedList, readCountedList } from "../../src/tracee/counted-list.js";
import { beginMappings, readMappings } from "../../src/tracee/maps.js";
import { withScene } from "../harness/scene.js";
import { fixture } from "../harness/target.js";

/** So much is read by another thread. */
const GIB = 1n << 30n;

function failureOf(act: () => unknown): unknown {
  try {
    act();
  } catch (error) {
    return error;
  }
  return undefined;
}

test("mappings that are read meanwhile are the same, in whatever room", () =>
  withScene(async (scene) => {
    const target = await scene.start([fixture("counter"), "FOLDER"]);
    await target.says("ready");
    const now = readMappings(target.pid);
    expect(now.length).toBeGreaterThan(10);
    const large = now.map((vma) => ({ ...vma, end: vma.end + GIB }));
    for (const known of [[], now, large.slice(0, 1), large]) {
      using begun = beginMappings(target.pid, known);
      expect(readMappings(target.pid, begun)).toEqual(now);
    }
  }));

test("a list that is longer than the room that was made for it is read once more", () => {
  // 180 KiB and more: all that this kernel can do.
  const path = "/proc/kallsyms";
  const whole = readCountedList(path, "latin1");
  expect(whole.length).toBeGreaterThan(180 << 10);
  using begun = CountedList.begin(path, [{ start: 0n, end: GIB }]);
  expect(begun.text("latin1") === whole).toBe(true);
});

test("a list that is not there is an error when it is asked for, as Node tells it", () => {
  const path = "/proc/0/smaps";
  using begun = CountedList.begin(path, [{ start: 0n, end: GIB }]);
  expect(
    isErrno(
      failureOf(() => begun.text("utf8")),
      "ENOENT",
    ),
  ).toBe(true);
  expect(
    isErrno(
      failureOf(() => readCountedList(path, "utf8")),
      "ENOENT",
    ),
  ).toBe(true);
});
