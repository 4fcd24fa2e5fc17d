/** Work that goes on beside: begun, ended once or more, with its result or its error, and waited for when it is given up. */
import { closeSync, openSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { Beside } from "../../src/tracee/beside.js";
import { beginCopy } from "../../src/tracee/memory.js";
import { NativeError } from "../../src/tracee/native.js";
import { RangeList } from "../../src/tracee/range-list.js";
import { withScene } from "../harness/scene.js";

const BEGIN = 1;
const PAGE = 4096;

const listOf = (path: string, out: Buffer) => Beside.begin("cr_read_list", path, out, out.length, BEGIN);

test("the result of what was begun, however often it is asked for", () => {
  const out = Buffer.alloc(1 << 16);
  using begun = listOf("/proc/self/limits", out);
  const length = begun.end();
  expect(out.toString("latin1", 0, length)).toBe(readFileSync("/proc/self/limits", "latin1"));
  expect([begun.tryEnd(), begun.end()]).toEqual([length, length]);
});

test("an error is told when it is ended, by its name and the function's", () => {
  using begun = listOf("/proc/self/none", Buffer.alloc(1 << 16));
  expect(begun.tryEnd()).toBe(-2);
  expect(() => begun.end()).toThrow(new NativeError("cr_read_list", "ENOENT"));
});

test("what is refused at once is not begun", () => {
  expect(() => listOf(`/proc/${"x".repeat(80)}`, Buffer.alloc(1 << 16))).toThrow("cr_read_list: EINVAL");
});

test("two copies into one file at a time come to what one after the other does; given up, it is waited for", () =>
  withScene(async (scene) => {
    const path = join(scene.folder, "copy");
    const fd = openSync(path, "w+");
    const stash = Buffer.alloc(2048 * PAGE, 0x5a);
    stash.fill(0xa5, 1024 * PAGE);
    const half = (first: number) => {
      const list = new RangeList();
      list.add(first * PAGE, (first + 1024) * PAGE, first * PAGE);
      return beginCopy(0, fd, { list, threads: 2, stash });
    };
    {
      using one = half(0);
      using _other = half(1024);
      const { writtenBytes, checksums } = one.end();
      expect(writtenBytes).toBe(1024 * PAGE);
      expect(new Set(checksums).size).toBe(1);
    }
    expect(readFileSync(path).equals(stash)).toBe(true);
    closeSync(fd);
    writeFileSync(path, "");
    const readOnly = openSync(path, "r");
    const list = new RangeList();
    list.add(0, PAGE, 0);
    using failing = beginCopy(0, readOnly, { list, threads: 1, stash });
    expect(() => failing.end()).toThrow("cr_copy_out: EBADF");
    closeSync(readOnly);
  }));
