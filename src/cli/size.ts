/** Amounts of memory and disk for people; --json always has plain bytes. */

const UNITS = ["bytes", "KiB", "MiB", "GiB", "TiB"];

/** `812 bytes`, `4.0 KiB`, `1.5 GiB`. */
export function formatBytes(bytes: number): string {
  let value = bytes;
  let unit = 0;
  while (value >= 1024 && unit < UNITS.length - 1) {
    value /= 1024;
    unit += 1;
  }
  return `${unit === 0 ? value : value.toFixed(1)} ${UNITS[unit]}`;
}
