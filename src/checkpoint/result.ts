/** What a checkpoint tells of itself: sums over the members of a tree. */
import type { SoftError } from "../state/soft-error.js";
import type { Copies } from "./copies.js";
import type { Copied, Finished } from "./copy-out.js";
import { LITTLE, type Mode } from "./mode.js";
import type { StopPhases } from "./phases.js";

export interface CheckpointResult {
  readonly pid: number;
  /** Its pid in a pid namespace of its own, where it has one. */
  readonly innerPid?: number;
  /** The program's name (comm). */
  readonly name: string;
  /** Full path of the core, or of the folder of a tree. */
  readonly core: string;
  /** Of a tree `live` when a member was copied while it ran. */
  readonly mode: Mode;
  /** Why it is not `live`, when nothing was asked for. */
  readonly modeReason?: string;
  /** How long the program stood still, and the whole operation, in ms. */
  readonly stopMs: number;
  /** The parts of `stopMs`. */
  readonly phases: StopPhases;
  readonly totalMs: number;
  /** Bytes of memory that are not zero, and pages stored. */
  readonly bytes: number;
  readonly pages: number;
  readonly rounds: number;
  /** How long the last look for what was written took while it ran, in ms; 0 where it was not copied in rounds. */
  readonly scanMs: number;
  /** Of a core that holds only what changed: the one it builds on, and how much it inherits in bytes. */
  readonly parent?: string;
  readonly inheritedBytes?: number;
  readonly threads: number;
  /** Members of the tree, dead children that nobody has waited for among them; 1 for a lone process. */
  readonly processes: number;
  readonly softErrors: readonly SoftError[];
}

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
    scanMs: Math.max(...copied.map(({ memory }) => memory.scanMs)),
    ...parentOf(copied, finished),
    threads: copied.reduce((sum, { state }) => sum + state.threads.length, 0),
    softErrors: copied.flatMap(({ state }) => state.softErrors),
  };
}

/** What a core that is not whole builds on. */
function parentOf([first]: readonly Copied[], [last]: readonly Finished[]) {
  const inherited = last?.copied.delta?.inherited;
  const parent = first?.memory.chain.at(-1)?.path;
  if (inherited === undefined || parent === undefined) return {};
  return { parent, inheritedBytes: inherited.totalBytes };
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
