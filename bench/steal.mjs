// Processor time that the host of a virtual machine takes away (steal of proc_stat(5)): a program that gets none stands still
// for a reason that is none of the tool's. Such runs are repeated, and counted.
import { readFileSync } from "node:fs";

/** USER_HZ: the unit of /proc/stat. */
const TICK_MS = 10;
/** The eighth number of a line: user, nice, system, idle, iowait, irq, softirq, steal. */
const STEAL = 8;
/** A run is made so often at most. */
const TRIES = 6;

/** Since the machine was started, of all processors, in ms. */
export function stealMs() {
  const [all = ""] = readFileSync("/proc/stat", "utf8").split("\n");
  return Number(all.trim().split(/\s+/)[STEAL] ?? 0) * TICK_MS;
}

/**
 * The result of `act`, made again while the host took away more than a tenth of what it says it measured (`of`, in ms); the one
 * from which it took least where it always did. `tally` counts: `{runs, repeated, disturbed}`, the last ones those.
 */
export async function undisturbed(act, { of, tally }) {
  let best = null;
  for (let tries = 1; tries <= TRIES; tries++) {
    const before = stealMs();
    const result = await act();
    const stolen = stealMs() - before;
    tally.runs += 1;
    if (result === null || stolen <= of(result) / 10) return result;
    if (best === null || stolen < best.stolen) best = { stolen, result };
    if (tries < TRIES) tally.repeated += 1;
  }
  tally.disturbed += 1;
  return best.result;
}

export function newTally() {
  return { runs: 0, repeated: 0, disturbed: 0 };
}

/** All of them as one. */
export function sumTallies(tallies) {
  const sum = (of) => tallies.reduce((all, tally) => all + tally[of], 0);
  return { runs: sum("runs"), repeated: sum("repeated"), disturbed: sum("disturbed") };
}

/** A sentence about it. */
export function describeTally({ runs, repeated, disturbed }) {
  return (
    `Of ${runs} runs ${repeated} were repeated because the host of this machine took processor time away meanwhile, more than a ` +
    `tenth of what was measured (steal of proc_stat(5)); ${disturbed} times it did so ${TRIES} times in a row, and the run from which it took least was counted.`
  );
}
