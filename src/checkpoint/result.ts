/** What a checkpoint tells of itself: sums over the members of a tree. */
import type { Copies } from "./copies.js";
import type { Copied, Finished } from "./copy-out.js";
import { LITTLE } from "./mode.js";

function innerPidOf(pid: number, first: Copied | undefined) {
  const inner = first?.state.process.pid ?? pid;
  return inner === pid ? {} : { innerPid: inner };
}

interface Results {
  readonly copied: readonly Copied[];
  readonly finished: readonly Finished[];
  readonly copies: Copies;
}

/** The part of a result that is found in its cores. */
export function resultOf(pid: number, { copied, finished, copies }: Results) {
  return {
    pid,
    ...innerPidOf(pid, copied[0]),
    name: Buffer.from(copied[0]?.state.process.comm ?? "", "latin1").toString(),
    ...modeOf(copied, copies),
    bytes: finished.reduce((sum, { bytes }) => sum + bytes, 0),
    pages: finished.reduce((sum, { pages }) => sum + pages, 0),
    ...parentOf(copied, finished),
    threads: copied.reduce((sum, { state }) => sum + state.threads.length, 0),
    softErrors: copied.flatMap(({ state }) => state.softErrors),
  };
}

/** What a core that is not whole builds on. */
function parentOf([first]: readonly Copied[], [last]: readonly Finished[]) {
  const inherited = last?.copied.inherited ?? [];
  const parent = first?.memory.keeping.chain.at(-1)?.path;
  if (inherited.length === 0 || parent === undefined) return {};
  return { parent, inheritedBytes: inherited.reduce((sum, { start, end }) => sum + end - start, 0) };
}

/** How the members were copied. */
function modeOf(copied: readonly Copied[], copies: Copies) {
  const modes = copied.map(({ state }) => state.host.mode);
  const mode = modes.includes("live") ? "live" : (modes[0] ?? "stop");
  const reasons = copied.flatMap(({ pid }) => copies.why(pid) ?? []);
  const reason = reasons.find((why) => why !== LITTLE) ?? reasons[0];
  const rounds = Math.max(...copied.map(({ pid }) => copies.rounds(pid)));
  return { mode, ...(mode !== "live" && reason !== undefined && { modeReason: reason }), rounds };
}
