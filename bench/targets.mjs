// What cr is to reach, and what was measured: a row a target. Ratios are of medians of one run, so that they mean the same on
// any machine.
import { digits, median, mib } from "./stats.mjs";

/** Rows `[what, target, measured, met]`; what was not measured in this run says so. */
export function judgeTargets({ checkpoints, restores, watches, incremental }) {
  const heap = (size, dirty = 50) =>
    checkpoints.find((one) => one.mib === size && one.threads === 1 && one.dirty === dirty);
  const large = checkpoints.find(({ withBounds }) => withBounds);
  const [small, largest] = [heap(64), heap(8192)];
  const flatOut = checkpoints.find(({ dirty }) => dirty > 1000);
  const every = (ms) => watches.find(({ everyMs }) => everyMs === ms);
  const restored = restores.at(-1);
  return [
    ...stopRows(large),
    row("stop, from 64 MiB to 8 GiB", "grows by less than 8 ms", small && largest, () => {
      const grown = crMedian(largest, "stopMs") - crMedian(small, "stopMs");
      return [`${digits(grown)} ms`, grown < 8];
    }),
    row("stop, written to flat out", "1/12 of gcore's (aim 1/20)", peer(flatOut), () =>
      part(flatOut, "stopMs", 12),
    ),
    ...wallRows(large, heap(large?.mib, 0)),
    ...incrementalRows(incremental),
    ...[
      [1000, 2],
      [50, 10],
    ].map(([ms, most]) =>
      row(`slow-down, a checkpoint every ${ms} ms`, `${most} %`, every(ms), () => {
        const { slowPercent } = every(ms);
        return [`${digits(slowPercent)} %`, slowPercent <= most];
      }),
    ),
    ...scanRows(large),
    row("memory of `cr`", "under 150 MiB at any size", checkpoints.length, () => {
      const most = Math.max(...checkpoints.flatMap(({ samples }) => samples.cr.peakBytes));
      return [`${digits(mib(most))} MiB`, mib(most) < 150];
    }),
    ...restoreRows(restored),
    row("tiny process: all of `cr checkpoint`", "1.5 times gcore's (aim 1)", peer(heap(0)), () =>
      times(crMedian(heap(0), "wallMs") / median(heap(0).samples.gcore.wallMs), 1.5),
    ),
  ];
}

function stopRows(large) {
  return [
    row("stop, large heap, 50 MiB/s written", "1/100 of gcore's (aim 1/200)", peer(large), () =>
      part(large, "stopMs", 100),
    ),
    row("the same, above the program's idle gaps", "10 ms", large, () => {
      const above = crMedian(large, "stopMs") - large.noiseMs;
      return [`${digits(above)} ms`, above <= 10];
    }),
  ];
}

/** The bound is the same for a program that writes meanwhile: what it writes is copied again, though. */
function wallRows(writing, idle) {
  return [
    ["nothing written", idle],
    ["50 MiB/s written", writing],
  ].map(([what, heap]) =>
    row(
      `wall of a full checkpoint to disk, ${what}`,
      "1.3 times `dd oflag=direct`",
      heap && writing.bounds.length,
      () => times(crMedian(heap, "wallMs") / median(writing.bounds.map(({ ddMs }) => ddMs)), 1.3),
    ),
  );
}

function scanRows(large) {
  return [
    ["scan and protect while it runs", "liveScanMs", 5],
    ["scan while stopped, all else of the phase included", "scanMs", 1],
  ].map(([what, measure, most]) =>
    row(what, `${most} us a MiB`, large?.[measure].length, () => {
      const us = (median(large[measure]) * 1000) / large.mib;
      return [`${digits(us)} us`, us <= most];
    }),
  );
}

function incrementalRows(found) {
  return [
    row("second checkpoint: wall", "1/8 of the first", found, () => {
      const ratio = found.first.wallMs / found.next.wallMs;
      return [`1/${digits(ratio)}`, ratio >= 8];
    }),
    row("second checkpoint: bytes", "1.1 times the pages written", found, () =>
      times(found.next.diskBytes / found.next.writtenBytes, 1.1),
    ),
  ];
}

function restoreRows(found) {
  const lazy = found?.samples.lazy;
  return [
    row("restore, lazy: first instruction", "50 ms after cr's first line of JavaScript", lazy, () => {
      const after = median(lazy.sinceBegunMs);
      return [`${digits(after)} ms (Node's own start: ${digits(median(found.nodeMs))} ms)`, after <= 50];
    }),
    row("restore, eager", "1.2 times reading the file into fresh memory", found, () =>
      times(median(found.samples.eager.restoreMs) / median(found.freshMs), 1.2),
    ),
  ];
}

/** The heap, if gcore was measured with it too. */
function peer(heap) {
  return heap?.samples.gcore?.stopMs.length ? heap : undefined;
}

function row(what, target, basis, judge) {
  if (!basis) return [what, target, "not measured", "-"];
  const [measured, isMet] = judge();
  return [what, target, measured, Number.isNaN(isMet) ? "-" : isMet ? "yes" : "**no**"];
}

function crMedian({ samples }, measure) {
  return median(samples.cr[measure]);
}

function part(heap, measure, least) {
  const ratio = median(heap.samples.gcore[measure]) / crMedian(heap, measure);
  return [`1/${digits(ratio)}`, ratio >= least];
}

function times(ratio, most) {
  return [`${digits(ratio)} times`, Number.isFinite(ratio) && ratio <= most];
}
