/** What a process has written since it was protected, and what it holds: in one walk as in two, by one thread or two. */
import { expect, test } from "vitest";
import { freeze, seize } from "../../src/checkpoint/freeze.js";
import { isTracked } from "../../src/checkpoint/spans.js";
import { findWorkplace } from "../../src/checkpoint/workplace.js";
import { readMappings } from "../../src/tracee/maps.js";
import { PageTracker } from "../../src/tracee/page-tracker.js";
import { Pagemap } from "../../src/tracee/pagemap.js";
import { withScene } from "../harness/scene.js";

const MAPPED_BYTES = 96n << 20n;

/** Every other page of what it maps is there: more spans than one call returns. On a signal it writes some and gives some up. */
const PROGRAM = `
import mmap, signal
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1])
size = ${MAPPED_BYTES}
m = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
m.madvise(mmap.MADV_NOHUGEPAGE)
for at in range(0, size, 8192): m[at] = 1
print("ready", flush=True)
signal.sigwait([signal.SIGUSR1])
for at in range(0, size, 24576): m[at] = 2
for at in range(4096, size, 40960): m[at] = 3
for at in range(8192, size, 65536): m.madvise(mmap.MADV_DONTNEED, at, 4096)
for at in range(16 << 20, 48 << 20, 4096): m[at] = 4
n = mmap.mmap(-1, 1 << 20, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
n[4096] = 5
print("written", flush=True)
signal.sigwait([signal.SIGUSR1])
`;

test("one walk over a process that stands finds what two find, also by two threads", () =>
  withScene(async (scene) => {
    const target = await scene.start(["python3", "-c", PROGRAM]);
    const { pid } = target;
    await target.says("ready");
    const freezing = { timeoutMs: 10_000, ledger: new Map(), key: "" };
    const start = () => {
      using tracee = seize(pid);
      const { threads } = freeze(tracee, freezing);
      const main = threads.get(pid);
      const work = main && findWorkplace(pid, threads, null);
      return main && work ? PageTracker.start(work, main, { isMeant: isTracked, areMarked: false }) : null;
    };
    const started = start();
    if (started === null) throw new Error("writes cannot be tracked here");
    using tracker = started;
    const mapped = () => readMappings(pid).filter(isTracked);
    expect(tracker.pages("protect").length).toBeGreaterThan(0);
    process.kill(pid, "SIGUSR1");
    await target.says("written");
    using tracee = seize(pid);
    freeze(tracee, freezing);
    using pagemap = new Pagemap(pid);
    const vmas = mapped();
    const [written, census] = [pagemap.pages("written"), pagemap.census()];
    expect(written.length).toBeGreaterThan(1000);
    const large = vmas.find(({ start, end }) => end - start >= MAPPED_BYTES);
    const at = (bytes: number) => Number(large?.start) + bytes;
    for (const half of [0, at(1 << 20), at(48 << 20), at(95 << 20)]) {
      const both = pagemap.changes(half);
      expect(pagesOf(both.written)).toEqual(pagesOf(written));
      expect(both.census.spansOf(vmas)).toEqual(census.spansOf(vmas));
      expect(pagemap.census(half).spansOf(vmas)).toEqual(census.spansOf(vmas));
    }
    expect(pagesOf(tracker.changes().written)).toEqual(pagesOf(written));
  }));

/** Spans that touch as one: where a walk was cut says nothing. */
function pagesOf(spans: readonly { readonly start: number; readonly end: number }[]): [number, number][] {
  const joined: [number, number][] = [];
  for (const { start, end } of spans) {
    const last = joined.at(-1);
    if (last?.[1] === start) last[1] = end;
    else joined.push([start, end]);
  }
  return joined;
}
