/** Parsers of what /proc tells about namespaces, and ids in them. */
import { expect, test } from "vitest";
import { hasOurMounts, parseMounts, readUserMap } from "../../src/tracee/namespace-facts.js";
import { idsInwards, innerGroups, innerPid, outerPid } from "../../src/tracee/pid-namespace.js";

test("mounts, with and without optional fields", () => {
  const text =
    "22 1 8:1 / / rw,relatime shared:1 master:2 - ext4 /dev/sda1 rw\n23 22 0:5 / /with\\040blank rw - proc proc rw\n";
  expect(parseMounts(text)).toEqual([
    { device: "8:1", root: "/", at: "/", type: "ext4" },
    { device: "0:5", root: "/", at: "/with\\040blank", type: "proc" },
  ]);
});

test("a process of our own namespace has one id, ours", () => {
  expect(idsInwards(process.pid).at(-1)).toBe(innerPid(process.pid));
  expect(outerPid(process.pid, innerPid(process.pid))).toBe(process.pid);
  expect(outerPid(process.pid, 2 ** 22 + 1)).toBeNull();
  expect(readUserMap(process.pid)[0]).toHaveLength(3);
});

test("one that has no /proc of its own on top has not quite our mounts", () => {
  expect(hasOurMounts(process.pid)).toBe(false);
});

test("groups as the innermost namespace numbers them", () => {
  const status = new Map([
    ["NSpgid", "300\t20"],
    ["NSsid", "0\t0"],
  ]);
  expect(innerGroups(status)).toEqual({ pgid: 20, sid: 0 });
});
