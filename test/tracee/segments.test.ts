/** System V segments as /proc/sysvipc/shm lists them, and one made with the id it had. */
import { closeSync, fstatSync, readSync, writeSync } from "node:fs";
import { expect, onTestFinished, test } from "vitest";
import {
  makeSegment,
  openSegment,
  parseSegments,
  readSegments,
  removeSegment,
  setSegment,
} from "../../src/tracee/segments.js";

const HEADINGS =
  "       key      shmid perms                  size  cpid  lpid nattch   uid   gid  cuid  cgid\n";

test("parseSegments", () => {
  const rows =
    "-1615747277       4242   644                  4096  2487     0      0     7     8     0     0\n         0         14  3600                  8192  2496  2496      2     0     0     0     0\n";
  expect(parseSegments(HEADINGS + rows)).toEqual([
    {
      key: -1615747277,
      id: 4242,
      mode: 0o644,
      removed: false,
      locked: false,
      sizeBytes: 4096,
      attached: 0,
      uid: 7,
      gid: 8,
    },
    {
      key: 0,
      id: 14,
      mode: 0o600,
      removed: true,
      locked: true,
      sizeBytes: 8192,
      attached: 2,
      uid: 0,
      gid: 0,
    },
  ]);
  expect(parseSegments(HEADINGS)).toEqual([]);
});

test("a segment is made with its id, opened like a file, and its id taken only once", () => {
  // Behind the 64 places that the kernel goes round in by itself.
  const wanted = { id: 5 * 32768 + 3000, key: 0, sizeBytes: 5000, mode: 0o600 };
  expect(makeSegment(wanted)).toBe(wanted.id);
  onTestFinished(() => removeSegment(wanted.id));
  setSegment({ ...wanted, uid: 1, gid: 2, mode: 0o640, locked: false });
  const fd = openSegment(wanted);
  writeSync(fd, "hello", 4995);
  expect(fstatSync(fd).size).toBe(5000);
  closeSync(fd);
  const again = openSegment(wanted);
  const bytes = Buffer.alloc(5);
  readSync(again, bytes, 0, 5, 4995);
  closeSync(again);
  expect(bytes.toString()).toBe("hello");
  const found = readSegments().find(({ id }) => id === wanted.id);
  expect(found).toMatchObject({ uid: 1, gid: 2, mode: 0o640, attached: 0, sizeBytes: 5000 });
  expect(makeSegment(wanted)).toBe(null);
});
