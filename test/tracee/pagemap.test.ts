/** Which pages a process has, by PAGEMAP_SCAN and by the words that older kernels offer; and holes of sparse files. */
import { closeSync, ftruncateSync, openSync, writeSync } from "node:fs";
import { join } from "node:path";
import { afterEach, describe, expect, test } from "vitest";
import { dataSpans } from "../../src/tracee/data-spans.js";
import type { PageSpan } from "../../src/tracee/page-spans.js";
import { Pagemap } from "../../src/tracee/pagemap.js";
import { withScene } from "../harness/scene.js";
import { fixture } from "../harness/target.js";
import { buildProgram } from "./build.js";
import { PAGE, type PagesTarget, startPages } from "./pages-target.js";

const pages = buildProgram("pages");

afterEach(() => {
  delete process.env.CR_PAGEMAP;
});

/** A second copy of the module, which reads the words of pagemap. */
async function wordsPagemap(pid: number): Promise<Pagemap> {
  process.env.CR_PAGEMAP = "words";
  const path = "../../src/tracee/pagemap.js?words";
  const module = (await import(path)) as { Pagemap: typeof Pagemap };
  return new module.Pagemap(pid);
}

/** Spans of a mapping by page number, with the letters z(ero), g(uard), f(ile) where they apply. */
function told(
  spans: readonly PageSpan[],
  { at }: PagesTarget,
  mapping: "private" | "file" | "shared",
): string[] {
  const number = (address: bigint) => (address - at(mapping, 0)) / PAGE;
  const letter = (holds: boolean, text: string) => (holds ? text : "");
  return spans.map(
    ({ start, end, zero, guard, file }) =>
      `${number(start)}-${number(end)}${letter(zero, "z")}${letter(guard, "g")}${letter(file, "f")}`,
  );
}

describe("Pagemap", () => {
  test("finds written, zero and guard pages, and which of a file are its own", () =>
    withScene(async (scene) => {
      const it = await startPages(scene, pages());
      using pagemap = new Pagemap(it.target.pid);
      const own = pagemap.spans(it.at("private", 0), it.at("private", 16));
      expect(told(own, it, "private")).toEqual(["0-2", "3-4z", "5-6", "8-9g"]);
      // Pages around one that was touched are mapped too when the file is in the page cache (fault-around).
      const file = pagemap.spans(it.at("file", 0), it.at("file", 8));
      expect(told(file, it, "file").filter((span) => !span.endsWith("f"))).toEqual(["2-3"]);
      const shared = pagemap.spans(it.at("shared", 0), it.at("shared", 64));
      expect(told(shared, it, "shared")).toEqual(["0-1f", "40-41f"]);
    }));

  test("tells of several ranges at once what it tells of each", () =>
    withScene(async (scene) => {
      const it = await startPages(scene, pages());
      const ranges = (["private", "file", "shared"] as const)
        .flatMap((mapping) => [
          { start: it.at(mapping, 0), end: it.at(mapping, 1) },
          { start: it.at(mapping, 1), end: it.at(mapping, 8) },
        ])
        .sort((a, b) => (a.start < b.start ? -1 : 1));
      using scan = new Pagemap(it.target.pid);
      using words = await wordsPagemap(it.target.pid);
      for (const pagemap of [scan, words]) {
        expect(pagemap.spansOf(ranges)).toEqual(ranges.map(({ start, end }) => pagemap.spans(start, end)));
        expect(pagemap.spansOf([])).toEqual([]);
      }
    }));

  test("tells the same from the words of pagemap, which do not know zero pages", () =>
    withScene(async (scene) => {
      const it = await startPages(scene, pages());
      using scan = new Pagemap(it.target.pid);
      using words = await wordsPagemap(it.target.pid);
      for (const [mapping, count] of [
        ["private", 16],
        ["file", 8],
        ["shared", 64],
      ] as const) {
        const range = [it.at(mapping, 0), it.at(mapping, count)] as const;
        const scanned = told(scan.spans(...range), it, mapping).map((span) => span.replace("z", ""));
        expect(told(words.spans(...range), it, mapping)).toEqual(scanned);
      }
    }));

  test("goes on where a full buffer made the kernel stop", () =>
    withScene(async (scene) => {
      // Every other page of 64 MiB: more spans than one call returns.
      const script = [
        "import mmap,time",
        "m=mmap.mmap(-1,64<<20,flags=mmap.MAP_PRIVATE|mmap.MAP_ANONYMOUS)",
        "m.madvise(mmap.MADV_NOHUGEPAGE)",
        "for i in range(0,64<<20,8192): m[i]=1",
        "print('ready',flush=True)",
        "time.sleep(1000)",
      ].join("\n");
      const target = await scene.start(["python3", "-c", script]);
      await target.says("ready");
      using scan = new Pagemap(target.pid);
      using words = await wordsPagemap(target.pid);
      const whole = [0x1000n, 0x7fff_ffff_f000n] as const;
      const single = scan.spans(...whole).filter(({ start, end }) => end - start === PAGE);
      expect(single.length).toBeGreaterThan(8_000);
      const [first, last] = [single[0]?.start ?? 0n, single.at(-1)?.end ?? 0n];
      const plain = (spans: PageSpan[]) =>
        // The kernel may take pages of files back at any time.
        spans.filter(({ zero, file }) => !zero && !file).map(({ start, end }) => [start, end]);
      const area = [last - (64n << 20n) > first ? last - (64n << 20n) : first, last] as const;
      expect(plain(words.spans(...area))).toEqual(plain(scan.spans(...area)));
    }));

  test("refuses a range that is not whole pages", () =>
    withScene(async (scene) => {
      const target = await scene.start([fixture("calls"), "FOLDER"]);
      using pagemap = new Pagemap(target.pid);
      expect(() => pagemap.spans(1n, 4096n)).toThrow(/EINVAL/);
    }));
});

describe("dataSpans", () => {
  function withSparse(written: readonly number[], size: number, act: (fd: number) => void): Promise<void> {
    return withScene(async (scene) => {
      const fd = openSync(join(scene.folder, "sparse"), "w+");
      try {
        ftruncateSync(fd, size);
        for (const at of written) writeSync(fd, "x", at);
        act(fd);
      } finally {
        closeSync(fd);
      }
    });
  }

  test("finds the written blocks within the range asked for", () =>
    withSparse([0, 1 << 20, 5 << 20], 8 << 20, (fd) => {
      expect(dataSpans(fd, 0, 8 << 20)).toEqual([
        { fileOffset: 0, lengthBytes: 4096 },
        { fileOffset: 1 << 20, lengthBytes: 4096 },
        { fileOffset: 5 << 20, lengthBytes: 4096 },
      ]);
      expect(dataSpans(fd, 1000, (1 << 20) + 10)).toEqual([
        { fileOffset: 1000, lengthBytes: 3096 },
        { fileOffset: 1 << 20, lengthBytes: 10 },
      ]);
      expect(dataSpans(fd, 6 << 20, 8 << 20)).toEqual([]);
      expect(dataSpans(fd, 100, 100)).toEqual([]);
    }));

  test("of a file that is one hole, and beyond its end, there are none", () =>
    withSparse([], 1 << 30, (fd) => {
      expect(dataSpans(fd, 0, 1 << 30)).toEqual([]);
      expect(dataSpans(fd, 1 << 31, 2 ** 32)).toEqual([]);
    }));

  test("more spans than one call returns", () => {
    const offsets = Array.from({ length: 4500 }, (_, index) => index * 8192);
    return withSparse(offsets, 4500 * 8192, (fd) => {
      expect(dataSpans(fd, 0, 4500 * 8192).map(({ fileOffset }) => fileOffset)).toEqual(offsets);
    });
  });
});
