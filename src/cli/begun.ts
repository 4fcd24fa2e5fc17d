/** When this run of `cr` began: what is measured from there holds the loading of cr itself, and not that of Node. */

let begunNs = process.hrtime.bigint();

/** Takes down when the first line of JavaScript ran, in ns on CLOCK_MONOTONIC; bin/cr tells it. */
export function noteBegun(ns: bigint): void {
  begunNs = ns;
}

/** The same in ms. */
export function begunMs(): number {
  return Number(begunNs) / 1e6;
}
