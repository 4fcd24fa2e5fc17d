// Which pictures are made of the results: each a file, a title, and lines of points (plot.mjs draws them).
import { heapName, intervalName, rateName } from "./plan.mjs";
import { renderLines } from "./plot.mjs";
import { digits, median, mib } from "./stats.mjs";

/** The SVG files `[{chapter, file, title, svg}]`, as far as there is something to show. */
export function drawPlots(results) {
  const { checkpoints, restores, watches } = results;
  const single = checkpoints.filter(({ threads }) => threads === 1);
  const sizes = single.filter((one) => one.mib > 0 && one.dirty === 50);
  const largeMib = Math.max(...single.filter(({ dirty }) => dirty !== 50).map((one) => one.mib));
  const rates = single.filter((one) => one.mib === largeMib).sort((one, other) => one.dirty - other.dirty);
  const bySize = (file, title, of) => ({ ...of, file, title, points: sizes, name: heapName });
  return [
    bySize("stop.svg", "How long the program stands still, by size", { pick: ({ stopMs }) => stopMs }),
    {
      ...{ file: "stop-by-rate.svg", title: "How long it stands still, by what it writes", points: rates },
      ...{ pick: ({ stopMs }) => stopMs, name: ({ dirty }) => rateName(dirty), even: true },
    },
    bySize("wall.svg", "How long the tool takes, by size", { pick: ({ wallMs }) => wallMs }),
    bySize("memory.svg", "How much memory the tool needs", {
      pick: ({ peakBytes }) => peakBytes.map(mib),
      unit: "MiB",
    }),
    {
      ...{
        chapter: "restores",
        file: "restore.svg",
        title: "How long cr restore takes until the program runs",
      },
      ...{
        points: restores.filter((one) => one.mib > 0),
        name: heapName,
        pick: ({ firstLookMs }) => firstLookMs,
      },
    },
    {
      ...{
        chapter: "watches",
        file: "watch.svg",
        title: "How long it stands still, checkpointed again and again",
      },
      ...{
        points: watches.map(asSamples),
        name: ({ everyMs }) => `every ${intervalName(everyMs)}`,
        even: true,
      },
      pick: (gap) => gap,
    },
  ]
    .filter(({ points }) => points.length > 1)
    .map(draw);
}

function asSamples(watched) {
  return { ...watched, samples: { "longest gap": [watched.gapMs], "stop, as cr tells": [watched.stopMs] } };
}

/** A line for each tool, or way, that was measured at every point. */
function draw({ chapter = "checkpoints", file, title, unit = "ms", even = false, points, name, pick }) {
  const all = Object.keys(points[0].samples);
  const names = all.filter((one) => points.every(({ samples }) => pick(samples[one]).length > 0));
  const across = (point, index) => (even ? index : point.mib);
  const svg = renderLines({
    ...{ title, yUnit: unit, even, format: digits },
    xTicks: points.map((point, index) => [across(point, index), name(point)]),
    series: names.map((one) => ({
      name: one,
      points: points.map((point, index) => [across(point, index), median(pick(point.samples[one]))]),
    })),
  });
  return { chapter, file, title, svg };
}
