// Medians and how numbers are written. Everything is in ms and bytes until it is printed.

/** The middle of the values, the mean of the two middle ones for an even count; NaN of none. */
export function median(values) {
  const sorted = [...values].sort((one, other) => one - other);
  const half = sorted.length / 2;
  return sorted.length % 2 === 1 ? sorted[Math.floor(half)] : (sorted[half - 1] + sorted[half]) / 2;
}

/** Median, smallest and largest. */
export function spread(values) {
  return { median: median(values), min: Math.min(...values), max: Math.max(...values) };
}

/** Three significant digits, with thousands parted: 0.213, 12.3, 1,240. */
export function digits(value) {
  if (!Number.isFinite(value)) return "-";
  if (value >= 1000) return Math.round(value).toLocaleString("en-US");
  return value >= 100 ? value.toFixed(0) : value.toPrecision(3);
}

/** Bytes as MiB. */
export function mib(bytes) {
  return bytes / (1 << 20);
}

/** `median (min to max)`. */
export function withRange({ median: middle, min, max }) {
  return `${digits(middle)} (${digits(min)} to ${digits(max)})`;
}
