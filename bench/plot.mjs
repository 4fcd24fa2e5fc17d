// Line plots as SVG, written by hand: a measure up on a logarithmic scale, heap sizes (logarithmic) or cases across, a line a tool.
// Colours follow the reader's light or dark setting; every point carries its value, so that no legend has to be guessed.

const SIZE = { width: 720, height: 400, left: 76, right: 96, top: 56, bottom: 56 };
const STYLE = `
  text { font: 13px system-ui, sans-serif; fill: #24292f }
  .title { font-size: 16px; font-weight: 600 } .name { font-weight: 600 }
  .panel { fill: #ffffff } .grid { stroke: #d0d7de } .axis { fill: #57606a }
  .line { fill: none; stroke-width: 2.5 }
  .s0 { stroke: #0969da } .d0 { fill: #0969da } .s1 { stroke: #bc4c00 } .d1 { fill: #bc4c00 }
  .s2 { stroke: #1a7f37 } .d2 { fill: #1a7f37 } .s3 { stroke: #8250df } .d3 { fill: #8250df }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3 }
    .panel { fill: #0d1117 } .grid { stroke: #30363d } .axis { fill: #8d96a0 }
    .s0 { stroke: #4493f8 } .d0 { fill: #4493f8 } .s1 { stroke: #f0883e } .d1 { fill: #f0883e }
    .s2 { stroke: #3fb950 } .d2 { fill: #3fb950 } .s3 { stroke: #ab7df8 } .d3 { fill: #ab7df8 }
  }`;

/**
 * An SVG of `series: [{name, points: [[x, y], ...]}]`; `xTicks` are `[x, label]`. All values above zero, but for x with
 * `even`, where it is a number of places at even distances.
 */
export function renderLines({ title, yUnit, xTicks, series, format, even = false }) {
  const values = series.flatMap(({ points }) => points.map(([, value]) => value));
  const yTicks = decades(Math.min(...values), Math.max(...values));
  const x = (even ? evenScale : scale)(
    [xTicks[0][0], xTicks.at(-1)[0]],
    [SIZE.left, SIZE.width - SIZE.right],
  );
  const y = scale([yTicks[0], yTicks.at(-1)], [SIZE.height - SIZE.bottom, SIZE.top]);
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${SIZE.width} ${SIZE.height}" role="img" aria-label="${title}">`,
    `<style>${STYLE}</style>`,
    `<rect class="panel" width="${SIZE.width}" height="${SIZE.height}" rx="8"/>`,
    `<text class="title" x="24" y="30">${title}</text>`,
    ...yTicks.map((tick) => gridLine(y(tick), `${tick.toLocaleString("en-US")} ${yUnit}`)),
    ...xTicks.map(([at, label]) => axisLabel(x(at), label)),
    ...series.map((each, index) => drawSeries(each, index, { x, y, format, series })),
    "</svg>",
    "",
  ].join("\n");
}

function drawSeries({ name, points }, index, { x, y, format, series }) {
  const marks = points.map(([across, up], at) => {
    const highest = Math.max(...series.map((each) => each.points[at][1]));
    return {
      px: round(x(across)),
      py: round(y(up)),
      label: round(y(up) + (up === highest ? -11 : 21)),
      value: up,
    };
  });
  const last = marks.at(-1);
  return [
    `<polyline class="line s${index}" points="${marks.map(({ px, py }) => `${px},${py}`).join(" ")}"/>`,
    ...marks.map(({ px, py }) => `<circle class="d${index}" cx="${px}" cy="${py}" r="4"/>`),
    ...marks.map(
      ({ px, label, value }) => `<text x="${px}" y="${label}" text-anchor="middle">${format(value)}</text>`,
    ),
    `<text class="name d${index}" x="${last.px + 30}" y="${last.label}">${name}</text>`,
  ].join("\n");
}

function round(place) {
  return Math.round(place * 10) / 10;
}

function gridLine(at, label) {
  const line = `<line class="grid" x1="${SIZE.left}" x2="${SIZE.width - 24}" y1="${at.toFixed(1)}" y2="${at.toFixed(1)}"/>`;
  return `${line}<text class="axis" x="${SIZE.left - 8}" y="${(at + 4).toFixed(1)}" text-anchor="end">${label}</text>`;
}

function axisLabel(at, label) {
  return `<text class="axis" x="${at.toFixed(1)}" y="${SIZE.height - 20}" text-anchor="middle">${label}</text>`;
}

/** Powers of ten from the one at or below `min` to the one at or above `max`, two at least. */
function decades(min, max) {
  const first = Math.floor(Math.log10(min));
  const last = Math.max(first + 1, Math.ceil(Math.log10(max)));
  return Array.from({ length: last - first + 1 }, (_, index) => 10 ** (first + index));
}

function evenScale([low, high], [from, to]) {
  return (value) => from + ((value - low) / (high - low)) * (to - from);
}

/** Logarithmic scale from a range of values to a range of places. */
function scale([low, high], [from, to]) {
  const span = Math.log(high) - Math.log(low) || 1;
  return (value) => from + ((Math.log(value) - Math.log(low)) / span) * (to - from);
}
