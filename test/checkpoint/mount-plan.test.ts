/** Tables of mounts as steps that make them again. */
import { expect, test } from "vitest";
import { planMounts, visible } from "../../src/checkpoint/mount-plan.js";
import { parseMounts } from "../../src/tracee/namespace-facts.js";

const OURS = parseMounts(`22 1 8:1 / / rw shared:1 - ext4 /dev/sda1 rw
23 22 0:5 / /proc rw - proc proc rw
24 22 0:6 / /dev rw - devtmpfs devtmpfs rw
25 22 8:2 / /home rw - ext4 /dev/sdb1 rw
26 25 0:7 / /home rw - tmpfs hides rw
`);

test("binds of what is here, file systems of its own, and what is in them", () => {
  const theirs = parseMounts(`30 9 0:40 /newroot / rw,nosuid - tmpfs tmpfs rw,mode=755
31 30 8:1 /usr /usr ro master:1 - ext4 /dev/sda1 rw
32 30 0:41 / /proc rw - proc proc rw
33 32 0:41 /irq /proc/irq ro - proc proc rw
34 30 0:42 / /dev rw - tmpfs tmpfs rw
35 34 0:6 /null /dev/null rw - devtmpfs devtmpfs rw
36 30 0:40 /newroot/a\\040b /c rw - tmpfs tmpfs rw
`);
  const { mounts, refused } = planMounts(theirs, OURS);
  expect(refused).toEqual([]);
  expect(mounts.map(({ kind, from, at, slave }) => `${kind} ${from} ${at} ${slave}`)).toEqual([
    "tmpfs  / false",
    "bind /usr /usr true",
    "proc  /proc false",
    "tmpfs  /dev false",
    "again /a b /c false",
    "again /proc/irq /proc/irq false",
    "bind /dev/null /dev/null false",
  ]);
  expect(mounts[0]).toMatchObject({ options: "rw,nosuid", data: "rw,mode=755" });
});

test("what is mounted over is not seen, neither there nor below", () => {
  const table = parseMounts(`1 0 8:1 / / rw - ext4 a rw
2 1 0:2 / /dev rw - tmpfs b rw
3 2 0:3 / /dev/shm rw - tmpfs c rw
4 3 0:4 / /dev/shm/x rw - tmpfs d rw
5 2 0:5 / /dev rw - tmpfs e rw
6 1 0:6 / /a/b rw - tmpfs f rw
7 1 0:7 / /a rw - tmpfs g rw
8 7 0:8 / /a/b rw - tmpfs h rw
`);
  expect(visible(table).map(({ id }) => id)).toEqual([1, 5, 7, 8]);
});

test("what cannot be made again is named", () => {
  const refusedOf = (text: string) => planMounts(parseMounts(text), OURS).refused;
  expect(refusedOf("30 9 8:9 / / rw - ext4 /dev/sdc rw\n")).toEqual(["the mount of ext4 on /"]);
  expect(refusedOf("30 9 8:2 / / rw - ext4 /dev/sdb1 rw\n")).toEqual(["the mount of ext4 on /"]);
  expect(refusedOf("30 9 8:1 / / rw shared:4 - ext4 /dev/sda1 rw\n")).toEqual([
    "mounts that hear of others than those of cr (/)",
  ]);
  expect(refusedOf("30 9 8:1 /x /x rw - ext4 /dev/sda1 rw\n")).toEqual(["no mount on /"]);
});
