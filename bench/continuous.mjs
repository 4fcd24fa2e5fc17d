// Checkpoints again and again by `cr watch`: how much less the program gets done, how long it stands still, what each
// checkpoint costs once the first, full one is there.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, rmSync, statSync } from "node:fs";
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";
import { bytesWritten, endHeap, longestGapMs, paceDuring, resetGap, startHeap } from "./heap.mjs";
import { median } from "./stats.mjs";
import { stealMs } from "./steal.mjs";
import { crCommand } from "./tools.mjs";

/** How long the program's pace without a watch is measured, before and after, in ms. */
const ALONE_MS = 2_000;

/**
 * A program that writes `dirty` MiB/s, in turn to all of `workingMib` where that is given, under `cr watch --every`:
 * `{everyMs, slowPercent, gapMs, stolenMs, watchedMs, stopMs, wallMs, taken, first, next}` with medians of the generations after the first; `first`
 * and `next` tell wall in ms and bytes on disk, and `next` also the bytes of the pages written in between.
 */
export async function watchOnce({ mib, dirty, workingMib, everyMs, generations, folder }) {
  const heap = await startHeap({ mib, dirtyMibPerS: dirty, workingMib, folder });
  const home = `${folder}/watched`;
  mkdirSync(home);
  try {
    const before = await paceDuring(heap, () => sleep(ALONE_MS));
    const watched = await watchFor({ heap, home, everyMs, generations });
    const after = await paceDuring(heap, () => sleep(ALONE_MS));
    const alone = (before.looksPerMs + after.looksPerMs) / 2;
    return {
      ...{ mib, dirty, workingMib, everyMs, slowPercent: 100 * (1 - watched.looksPerMs / alone) },
      ...summaryOf(watched.events),
      gapMs: watched.gapMs,
      stolenMs: watched.stolenMs,
      watchedMs: watched.watchedMs,
    };
  } finally {
    await endHeap(heap);
    rmSync(home, { recursive: true, force: true });
  }
}

/** Watches until there are so many generations after the first; the pace is that between the first and the last. */
async function watchFor({ heap, home, everyMs, generations }) {
  const [command, ...args] = [
    ...crCommand("watch"),
    ...[String(heap.pid), "--every", `${everyMs}ms`, "--name", "bench", "--keep-last", "3", "--json"],
  ];
  const watch = spawn(command, args, {
    env: { ...process.env, CR_HOME: home },
    stdio: ["ignore", "pipe", "inherit"],
  });
  const lines = createInterface({ input: watch.stdout })[Symbol.asyncIterator]();
  const events = [];
  const collect = async (wanted) => {
    while (events.length < wanted) {
      const { value, done } = await lines.next();
      if (done) throw new Error("cr watch ended before its time");
      const event = JSON.parse(value);
      if (event.event === "failed") throw new Error(`cr watch: ${event.error.message}`);
      if (event.event !== "generation") continue;
      events.push({
        ...event,
        diskBytes: statSync(event.core).blocks * 512,
        writtenBytes: bytesWritten(heap),
      });
    }
  };
  try {
    await collect(1);
    await resetGap(heap);
    const [stolen, start] = [stealMs(), performance.now()];
    const { looksPerMs } = await paceDuring(heap, () => collect(1 + generations));
    const [stolenMs, watchedMs] = [stealMs() - stolen, performance.now() - start];
    return { looksPerMs, gapMs: await longestGapMs(heap), events, stolenMs, watchedMs };
  } finally {
    const ended = watch.exitCode === null ? once(watch, "exit") : Promise.resolve();
    watch.kill("SIGTERM");
    await ended;
  }
}

function summaryOf(events) {
  const [first, ...later] = events;
  const middle = (pick) => median(later.map(pick));
  return {
    taken: later.length,
    stopMs: middle(({ stopMs }) => stopMs),
    first: { wallMs: first.totalMs, diskBytes: first.diskBytes },
    next: {
      wallMs: middle(({ totalMs }) => totalMs),
      diskBytes: middle(({ diskBytes }) => diskBytes),
      writtenBytes: median(later.map((each, index) => each.writtenBytes - events[index].writtenBytes)),
    },
  };
}
