/** Parsers of what /proc tells about namespaces, and ids in them. */
import { expect, test } from "vitest";
import { compareMounts } from "../../src/tracee/mounts.js";
import { hasOurMounts, parseMounts, readUserMap } from "../../src/tracee/namespace-facts.js";
import { idsInwards, innerGroups, innerPid, outerPid } from "../../src/tracee/pid-namespace.js";

test("mounts, with and without optional fields", () => {
  const text =
    "22 1 8:1 / / rw,relatime shared:1 master:2 - ext4 /dev/sda1 rw\n23 22 0:5 / /with\\040blank rw - proc proc rw\n";
  expect(parseMounts(text)).toMatchObject([
    {
      device: "8:1",
      root: "/",
      at: "/",
      type: "ext4",
      options: "rw,relatime",
      tags: ["shared:1", "master:2"],
    },
    { device: "0:5", root: "/", at: "/with\\040blank", type: "proc", options: "rw", tags: [] },
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

test("mounts beside ours: what is there besides, what is not, and how they hear of others", () => {
  const table = (text: string) => parseMounts(text);
  const ours = "22 1 8:1 / / rw shared:1 - ext4 /dev/sda1 rw\n23 22 0:5 / /proc rw shared:2 - proc proc rw\n";
  const theirs = (tags: string) =>
    `32 1 8:1 / / rw${tags} - ext4 /dev/sda1 rw\n33 32 0:5 / /proc rw - proc proc rw\n34 32 0:9 / /tmp rw - tmpfs none rw\n`;
  const found = compareMounts(table(theirs("")), table(ours));
  expect(found.extra.map(({ at }) => at)).toEqual(["/tmp"]);
  expect(found).toMatchObject({ missing: [], propagation: "private" });
  expect(compareMounts(table(ours), table(theirs(""))).missing).toHaveLength(1);
  expect(compareMounts(table(ours), table(ours)).propagation).toBe("unchanged");
  expect(compareMounts(table(theirs(" master:1")), table(ours)).propagation).toBe("slave");
  expect(compareMounts(table(theirs(" master:7")), table(ours)).propagation).toBeNull();
  expect(compareMounts(table(theirs(" shared:9")), table(ours)).propagation).toBeNull();
});
