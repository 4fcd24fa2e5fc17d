/** Memory of a process: small reads and writes whatever the protection, and bulk copies with holes and checksums. */
import { closeSync, fstatSync, openSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { crc32c } from "../../src/core/crc32c.js";
import { RUN_BYTES_MAX } from "../../src/state/address.js";
import { readMappings } from "../../src/tracee/maps.js";
import { copyPages, GONE_CHECKSUM, readMemory, stashPages, writeMemory } from "../../src/tracee/memory.js";
import { crc32cRanges } from "../../src/tracee/native.js";
import { isNativeError } from "../../src/tracee/native-error.js";
import { RangeList } from "../../src/tracee/range-list.js";
import { Tracee } from "../../src/tracee/tracee.js";
import { killHard } from "../harness/process.js";
import { withScene } from "../harness/scene.js";
import { buildProgram } from "./build.js";
import { copyRanges } from "./copy-ranges.js";
import { filledPage, PAGE, startPages } from "./pages-target.js";

const pages = buildProgram("pages");

function errnoOf(act: () => unknown): string {
  try {
    act();
  } catch (error) {
    if (isNativeError(error)) return error.errno;
    throw error;
  }
  return "none";
}

test("reads and writes what the program could not: PROT_NONE and read-only pages", () =>
  withScene(async (scene) => {
    const { target, at } = await startPages(scene, pages());
    const hidden = at("private", 5);
    expect(readMemory(target.pid, hidden, 4096)).toEqual(filledPage(5n));
    writeMemory(target.pid, hidden + 8n, Buffer.from("recore"));
    expect(readMemory(target.pid, hidden + 8n, 6).toString()).toBe("recore");
    // Over the border of two pages, one of which was never touched.
    const border = at("private", 2) - 3n;
    writeMemory(target.pid, border, Buffer.from("abcdef"));
    expect(readMemory(target.pid, border, 6).toString()).toBe("abcdef");
  }));

test("says what cannot be read: nothing there, a guard page, a process that is gone", () =>
  withScene(async (scene) => {
    const { target, at } = await startPages(scene, pages());
    expect(readMemory(target.pid, 0n, 0)).toHaveLength(0);
    expect(errnoOf(() => readMemory(target.pid, 0n, 8))).toMatch(/EIO|EFAULT/);
    expect(errnoOf(() => readMemory(target.pid, at("private", 8), 8))).toMatch(/EIO|EFAULT/);
    await killHard(target);
    expect(errnoOf(() => readMemory(target.pid, at("private", 0), 8))).toMatch(/ESRCH|ENOENT/);
  }));

test("copies pages to their places in a file, leaves zero pages as holes, and tells each range's CRC32C", () =>
  withScene(async (scene) => {
    const { target, at } = await startPages(scene, pages());
    const path = join(scene.folder, "copy");
    const fd = openSync(path, "w+");
    const bytes = Number(PAGE);
    const ranges = [
      { address: at("private", 0), lengthBytes: 3 * bytes, fileOffset: 8 * bytes },
      { address: at("private", 5), lengthBytes: bytes, fileOffset: 4 * bytes },
      { address: at("private", 9), lengthBytes: 2 * bytes, fileOffset: 20 * bytes },
      { address: at("shared", 40), lengthBytes: bytes, fileOffset: 0 },
    ];
    const result = copyRanges(target.pid, fd, { ranges, threads: 4 });
    closeSync(fd);
    expect(result.writtenBytes).toBe(4 * bytes);
    const copy = readFileSync(path);
    const piece = (offset: number, length: number) => copy.subarray(offset, offset + length);
    expect(piece(0, bytes)).toEqual(filledPage(10n));
    expect(piece(4 * bytes, bytes)).toEqual(filledPage(5n));
    // fill() numbers its words through, so only the first page is the page of the seed.
    expect(piece(8 * bytes, bytes)).toEqual(filledPage(1n));
    expect(piece(10 * bytes, 10 * bytes).every((byte) => byte === 0)).toBe(true);
    expect(copy).toHaveLength(10 * bytes);
    expect(statSync(path).blocks * 512).toBeLessThanOrEqual(4 * bytes + 4096);
    const first = Buffer.concat([piece(8 * bytes, 2 * bytes), Buffer.alloc(bytes)]);
    expect(result.crc32c).toEqual([
      crc32c(first),
      crc32c(filledPage(5n)),
      crc32c(Buffer.alloc(2 * bytes)),
      crc32c(filledPage(10n)),
    ]);
  }));

test("many runs with many threads are those of one thread", () =>
  withScene(async (scene) => {
    const script = "import os,time\nb=os.urandom(12<<20)\nprint('ready',flush=True)\ntime.sleep(1000)";
    const target = await scene.start(["python3", "-c", script]);
    await target.says("ready");
    using tracee = Tracee.seize(target.pid);
    tracee.stop(1_000);
    const large = readMappings(target.pid).find(
      ({ start, end }) => end - start >= 12n << 20n && start > 0x7000_0000_0000n,
    );
    if (large === undefined) throw new Error("the bytes are nowhere");
    const ranges = Array.from({ length: 120 }, (_, index) => ({
      address: large.start + BigInt(index * 98_304),
      lengthBytes: 98_304,
      fileOffset: (119 - index) * 98_304,
    }));
    const [one, many] = [1, 7].map((threads) => {
      const path = join(scene.folder, `copy${threads}`);
      const fd = openSync(path, "w+");
      const result = copyRanges(target.pid, fd, { ranges, threads });
      closeSync(fd);
      return { result, bytes: readFileSync(path) };
    });
    expect(many?.result).toEqual(one?.result);
    expect(one?.bytes.equals(many?.bytes ?? Buffer.alloc(0))).toBe(true);
    expect(one?.result.crc32c).toEqual(
      ranges.map((range) =>
        crc32c(one?.bytes.subarray(range.fileOffset, range.fileOffset + 98_304) ?? Buffer.alloc(0)),
      ),
    );
  }));

test("refuses ranges that are not whole pages; a full disk is told", () =>
  withScene(async (scene) => {
    const { target, at } = await startPages(scene, pages());
    const copy = (lengthBytes: number, path: string) => {
      const fd = openSync(path, "w");
      const ranges = [{ address: at("private", 0), lengthBytes, fileOffset: 0 }];
      const errno = errnoOf(() => copyRanges(target.pid, fd, { ranges, threads: 1 }));
      closeSync(fd);
      return errno;
    };
    const path = join(scene.folder, "copy");
    expect([100, RUN_BYTES_MAX + 100].map((length) => copy(length, path))).toEqual(["EINVAL", "EINVAL"]);
    expect(copy(4096, "/dev/full")).toBe("ENOSPC");
    expect(copy(16 * 4096, path)).toBe("EFAULT");
    expect(copyRanges(target.pid, -1, { ranges: [], threads: 1 })).toEqual({ writtenBytes: 0, crc32c: [] });
  }));

test("a copy in parts is that of the whole, and each part is announced", () =>
  withScene(async (scene) => {
    const { target, at } = await startPages(scene, pages());
    const page = Number(PAGE);
    const list = new RangeList();
    for (const number of [0, 4, 5]) {
      list.add(Number(at("private", number)), Number(at("private", number)) + page, number * page);
    }
    const copy = (name: string, manner: object) => {
      const fd = openSync(join(scene.folder, name), "w+");
      const { checksums } = copyPages(target.pid, fd, { list, threads: 1, ...manner });
      closeSync(fd);
      return { checksums, bytes: readFileSync(join(scene.folder, name)) };
    };
    const parts: (readonly number[])[] = [];
    const before = (bytes: number, leftBytes: number) => parts.push([bytes, leftBytes]);
    const whole = copy("whole", {});
    expect(copy("parts", { partBytes: 2 * page, before, gently: true })).toEqual(whole);
    expect(parts).toEqual([
      [2 * page, 3 * page],
      [page, page],
    ]);
    expect(() => copy("stopped", { before: () => expect.fail("no time") })).toThrow("no time");
  }));

test("what was stashed is written out; over something else zero pages become holes, and pages that are gone are marked", () =>
  withScene(async (scene) => {
    const { target, at } = await startPages(scene, pages());
    const path = join(scene.folder, "copy");
    const page = Number(PAGE);
    writeFileSync(path, Buffer.alloc(8 * page, 0xff));
    const fd = openSync(path, "r+");
    const first = Number(at("private", 0));
    const stash = Buffer.alloc(4 * page);
    const taken = new RangeList();
    taken.add(first, first + 3 * page, 0);
    taken.add(Number(at("shared", 40)), Number(at("shared", 40)) + page, 3 * page);
    stashPages(target.pid, stash, { list: taken, threads: 2 });
    const places = new RangeList();
    places.add(0, 4 * page, 2 * page);
    const copied = copyPages(0, fd, { list: places, threads: 1, over: true, stash });
    expect(copied.writtenBytes).toBe(3 * page);
    expect(copied.checksums[0]).toBe(crc32c(filledPage(1n)));
    const bytes = readFileSync(path);
    expect(bytes.subarray(2 * page, 3 * page)).toEqual(filledPage(1n));
    expect(bytes.subarray(4 * page, 5 * page)).toEqual(Buffer.alloc(page));
    expect(bytes.subarray(5 * page, 6 * page)).toEqual(filledPage(10n));
    // Page 8 is a guard page: it cannot be read.
    const loose = new RangeList();
    loose.add(Number(at("private", 7)), Number(at("private", 9)), 0);
    const { checksums } = copyPages(target.pid, fd, { list: loose, threads: 1, over: true, loose: true });
    expect([...checksums].map((sum) => sum === GONE_CHECKSUM)).toEqual([false, true]);
    closeSync(fd);
    const outside = new RangeList();
    outside.add(4 * page, 5 * page, 0);
    expect(errnoOf(() => copyPages(0, 1, { list: outside, threads: 1, stash }))).toBe("EINVAL");
  }));

test.each([
  { direct: false, written: 3 },
  { direct: true, written: 9 },
])("zeros become holes, past the page cache ($direct) only where there are many", ({ direct, written }) =>
  withScene(async (scene) => {
    const page = Number(PAGE);
    const path = join(scene.folder, "copy");
    writeFileSync(path, Buffer.alloc(64 * page, 0xff));
    const fd = openSync(path, "r+");
    // Pages 0 and 7, then page 40 behind more zeros than are written along.
    const stash = Buffer.alloc(64 * page);
    for (const number of [0, 7, 40]) filledPage(BigInt(number + 1)).copy(stash, number * page);
    const list = new RangeList();
    list.add(0, stash.length, 0);
    const copied = copyPages(0, fd, { list, threads: 1, over: true, direct, stash });
    expect(copied.writtenBytes).toBe(written * page);
    expect(readFileSync(path)).toEqual(stash);
    expect(fstatSync(fd).blocks * 512).toBe(written * page);
    closeSync(fd);
  }),
);

test("CRC32C of the native library is that of RFC 3720 and of TypeScript, for every length", () =>
  withScene(async (scene) => {
    const path = join(scene.folder, "bytes");
    const bytes = Buffer.from(Array.from({ length: 5000 }, (_, index) => (index * 7 + (index >> 8)) & 0xff));
    writeFileSync(path, Buffer.concat([Buffer.from("123456789"), Buffer.alloc(32), bytes]));
    const fd = openSync(path, "r");
    const lengths = [1, 7, 8, 9, 63, 64, 65, 4095, 4096, 5000];
    const sums = crc32cRanges(fd, [
      { fileOffset: 0, lengthBytes: 9 },
      { fileOffset: 9, lengthBytes: 32 },
      ...lengths.map((lengthBytes) => ({ fileOffset: 41, lengthBytes })),
    ]);
    expect(sums.slice(0, 2)).toEqual([0xe3069283, 0x8a9136aa]);
    expect(sums.slice(2)).toEqual(lengths.map((length) => crc32c(bytes.subarray(0, length))));
    expect(errnoOf(() => crc32cRanges(fd, [{ fileOffset: 5000, lengthBytes: 100 }]))).toBe("EIO");
    closeSync(fd);
  }));
