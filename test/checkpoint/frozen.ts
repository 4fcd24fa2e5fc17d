/** A target stopped as a checkpoint stops it, for tests of single steps; let go whatever the test does. */

import { freeze, seize } from "../../src/checkpoint/freeze.js";
import type { Frozen } from "../../src/checkpoint/frozen.js";
import { lookAtProcess } from "../../src/checkpoint/look.js";
import { MappedFiles } from "../../src/checkpoint/mappings.js";
import { findGadgets } from "../../src/tracee/site.js";

/** Seizes and stops `pid`, runs `act` on it, and lets it go. */
export async function whileFrozen(
  pid: number,
  act: (frozen: Frozen) => void | Promise<void>,
  { timeoutMs = 10_000 } = {},
): Promise<void> {
  using tracee = seize(pid);
  const { threads } = freeze(tracee, { timeoutMs, ledger: new Map(), key: `${pid}` });
  const look = lookAtProcess(pid, new MappedFiles());
  await act({ tracee, threads, look, gadgets: findGadgets(pid, look.facts.vmas), policies: null });
}

/** The error that `act` throws; fails when it throws none. */
export function errorOf(act: () => unknown): unknown {
  try {
    act();
  } catch (error) {
    return error;
  }
  throw new Error("it did not fail");
}
