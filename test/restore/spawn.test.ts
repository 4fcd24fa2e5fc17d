/** The process that becomes the restored one: the descriptors it inherits, and nothing else of cr's. */
import { closeSync, openSync, readdirSync, readlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { Newborn } from "../../src/tracee/newborn.js";
import { statOf, statusLine } from "../harness/process.js";
import { withScene } from "../harness/scene.js";
import { fixture } from "../harness/target.js";

const options = {
  exe: fixture("counter"),
  pid: null,
  group: "session",
  personality: 0x0004_0000,
  clocks: "",
} as const;

/** Links of the descriptors of a process from 3 on, by number. */
function linksOf(pid: number): Map<number, string> {
  const numbers = readdirSync(`/proc/${pid}/fd`).map(Number);
  return new Map(numbers.filter((fd) => fd > 2).map((fd) => [fd, readlinkSync(`/proc/${pid}/fd/${fd}`)]));
}

describe("Newborn.spawn", () => {
  // In a library cr's own descriptors may be anywhere: below, in and above the range they are to go to.
  test.each([0, 20, 40, 45, 50, 60, 150])("places descriptors, with %i others open", (others) =>
    withScene(async (scene) => {
      const paths = Array.from({ length: 12 }, (_, index) => join(scene.folder, `${index}`));
      for (const path of paths) writeFileSync(path, "");
      const occupied = Array.from({ length: others }, () => openSync("/dev/null", "r"));
      const fds = paths.map((path) => openSync(path, "r")).reverse();
      try {
        using newborn = Newborn.spawn({ ...options, fds, fdBase: 64 });
        const expected = [...paths].reverse().map((path, index) => [64 + index, path] as const);
        expect(linksOf(newborn.pid)).toEqual(new Map(expected));
      } finally {
        for (const fd of [...fds, ...occupied]) closeSync(fd);
      }
    }),
  );

  test("is traced by us, waits at its first instruction, and is gone when it is not let go", () => {
    let pid = 0;
    {
      using newborn = Newborn.spawn({ ...options, fds: [], fdBase: 3 });
      pid = newborn.pid;
      expect(statusLine(pid, "TracerPid")).toBe(String(process.pid));
      expect(statOf(pid)?.state).toBe("t");
      expect(linksOf(pid).size).toBe(0);
      using other = Newborn.spawn({ ...options, fds: [], fdBase: 64 });
      expect(linksOf(other.pid).size).toBe(0);
      expect(newborn.runToEntry()).toBeGreaterThan(0n);
    }
    expect(statOf(pid)).toBeNull();
  });

  test("tells why it could not start, and leaves nothing", () => {
    expect(() => Newborn.spawn({ ...options, exe: "/nowhere", fds: [], fdBase: 3 })).toThrow(/ENOENT/);
    expect(() => Newborn.spawn({ ...options, exe: "/etc/passwd", fds: [], fdBase: 3 })).toThrow(/EACCES/);
    expect(() => Newborn.spawn({ ...options, fds: [9999], fdBase: 64 })).toThrow(/EBADF/);
    expect(() => Newborn.spawn({ ...options, pid: process.pid, fds: [], fdBase: 3 })).toThrow(/EEXIST/);
    expect(() => Newborn.spawn({ ...options, fds: [], fdBase: 2 })).toThrow(/EINVAL/);
  });
});
