/**
 * `checkpoint`: the recipe. Look and refuse; open the output; copy what can be copied while it runs; seize and stop;
 * look again; ask each process; copy the rest of their memory; let them go; write the rest of the cores; make it durable. A lone process is a tree of one. Leaves every step
 * to its own file.
 */

import { faultPoint } from "../fault.js";
import { cpuFeatures } from "../host/cpu-features.js";
import { collectGarbage, Urgency } from "../host/urgency.js";
import type { TcpPolicy } from "../state/tcp.js";
import { whileAllStand } from "../tracee/proc-status.js";
import { findGadgets } from "../tracee/site.js";
import { vdsoCrc32c } from "../tracee/vdso.js";
import { Output } from "./bundle.js";
import { hostFacts } from "./capture.js";
import { type HeldConnections, holdConnections, TCP_HOLD_MS, tcpPolicy } from "./connections.js";
import { Copies } from "./copies.js";
import { CopyGap } from "./copy-gap.js";
import { type Copied, type Finished, finishCore } from "./copy-out.js";
import { Family } from "./family.js";
import { FarEnds } from "./far-ends.js";
import { onceFilled } from "./filling.js";
import { changed } from "./freeze.js";
import { leaveOutOfTree } from "./leave-out-of-tree.js";
import type { Lineage } from "./lineage.js";
import { type Look, lookAtTree, lookBeforeStop, type TreeLook, unlessEnded } from "./look.js";
import type { FlagsCheck } from "./mapping-flags.js";
import { MappedFiles } from "./mappings.js";
import { askMembers, copyAll, freezeAll, frozenOf, refusedInside } from "./members.js";
import type { Mode } from "./mode.js";
import { Pace, type PaceOptions } from "./pace.js";
import { untilPassed } from "./passing.js";
import { readQueues, socketsIn } from "./read-queues.js";
import { refuse } from "./refusal.js";
import { refusedChildren } from "./refused-children.js";
import { type RestartLedger, rememberRestart } from "./restarted-calls.js";
import { type CheckpointResult, resultOf } from "./result.js";
import { spacesOf, visitSpaces } from "./spaces.js";
import { attempt, reachable, requireStart } from "./target.js";
import { manifestOf } from "./tree-manifest.js";

const TIMEOUT_MS = 30_000;

export interface CheckpointOptions extends PaceOptions {
  /** Path of the core, or of the folder for a process with children, `-` for a stream to standard output; default `core.<pid>` in the current folder. */
  readonly output?: string;
  /** Replace an existing core. */
  readonly force?: boolean;
  /** Compress the core with zstd at this level, 1 to 19; NATIVE_MISSING without libzstd. */
  readonly compress?: number | null;
  /** Store unchanged pages of mapped programs and libraries, too: debuggers then need none of these files. */
  readonly selfContained?: boolean;
  /** What becomes of the program: `continue` (default), `kill` once the core is durable, `stop` by SIGSTOP. */
  readonly after?: "continue" | "kill" | "stop";
  /** With false a process with children is refused; otherwise they are saved with it. */
  readonly tree?: boolean;
  /** Keep the regular files that it can write to in the core, to be put back whole. */
  readonly files?: "snapshot";
  /**
   * TCP connections to the outside: `keep` (default with CAP_NET_ADMIN) with `after: "kill"`, `close`, or `refuse`.
   */
  readonly tcp?: TcpPolicy;
  /** How long packets of kept connections are held back for a restore, in ms; default 60 s. */
  readonly tcpHoldMs?: number;
  /** What may be left out where it cannot be saved: `KIND:ID` as a refusal names it, such as `fd:7`. */
  readonly skip?: readonly string[];
  /** Refuse when anything can only be saved with a soft error. */
  readonly strict?: boolean;
  /** Start time of the process in clock ticks since boot: NO_SUCH_PROCESS when the pid is another's by now. */
  readonly startTicks?: bigint;
  /** For a process that is checkpointed again and again: keeps its timeouts from starting anew for ever. */
  readonly ledger?: RestartLedger;
  /** For the same: each core holds only what changed since the one before; to be disposed of in the end. */
  readonly lineage?: Lineage;
  /** Leave to this earlier core of the process what is the same there byte by byte. */
  readonly parent?: string;
  /** How long the process may take to stop, in ms; default 30 s. */
  readonly timeoutMs?: number;
  /** How the memory is copied (mode.ts); default: so that the program stands still for the shortest time. */
  readonly mode?: Mode;
}

export type { CheckpointResult };

/**
 * Saves a running process into a core file, and one with children with all its descendants into a folder. They go on
 * whatever happens, unless `after` says otherwise and the checkpoint is durable. Throws `CrError`: NO_SUCH_PROCESS,
 * NOT_PERMITTED, ALREADY_TRACED, UNSUPPORTED_PROCESS, UNSUPPORTED_STATE, MODE_UNAVAILABLE, STOP_TOO_LONG,
 * FREEZE_TIMEOUT, PARENT_OTHER, TARGET_CHANGED, REMOTE_CALL, OUTPUT_EXISTS, OUTPUT_UNSAFE, OUTPUT_FAILED.
 */
export async function checkpoint(pid: number, options: CheckpointOptions = {}): Promise<CheckpointResult> {
  if (!Number.isInteger(pid) || pid <= 0) throw new RangeError(`not a pid: ${pid}`);
  const kept = { ...options, ...(options.parent !== undefined && (await import("./parent-core.js"))) };
  const isLast = options.after === "kill" || options.after === "stop";
  const { timeoutMs = TIMEOUT_MS } = options;
  const tried = () =>
    untilPassed(() => {
      try {
        return attemptCheckpoint(pid, kept, isLast) ?? attemptCheckpoint(pid, kept, true) ?? never(pid);
      } catch (error) {
        const { mode, lineage } = options;
        if (!(error instanceof CopyGap) || (mode !== undefined && lineage === undefined)) throw error;
        lineage?.[Symbol.dispose]();
        return attemptCheckpoint(pid, { ...kept, mode: mode ?? "stop" }, true) ?? never(pid);
      }
    });
  return onceFilled(pid, timeoutMs, tried);
}

function never(pid: number): never {
  throw new RangeError(`process ${pid} was read exactly and had to be read again`);
}

/**
 * One attempt. The flags of mappings take long to read, since the kernel counts every page for them. Unless `isExact`
 * they are read before and after the stop instead: null when they changed in between. `options` get the start time.
 */
function attemptCheckpoint(
  pid: number,
  options: Omit<CheckpointOptions, "startTicks"> & { startTicks?: bigint },
  isExact: boolean,
): CheckpointResult | null {
  const begin = performance.now();
  const root = reachable(pid);
  const [cpu, host] = [cpuFeatures(), hostFacts()];
  using _visit = visitSpaces(root);
  const { skip = [], timeoutMs = TIMEOUT_MS, ledger = new Map() } = options;
  const leave = (found: TreeLook) => leaveOutOfTree(found, skip).look;
  const memory = { mappedFiles: new MappedFiles(), farEnds: new FarEnds(tcpPolicy(options.tcp)), leave };
  const before = lookBeforeStop(root, { ...memory, ...options.lineage?.looking });
  const startTicks = startOf(root, before);
  options.startTicks ??= startTicks;
  requireStart(pid, startTicks, options.startTicks);
  refuse(pid, [...before.refusals, ...refusedChildren(pid, before, options)]);
  const gadgets = forEach(before, (member, { facts }) => findGadgets(member, facts.vmas));
  const vdso = attempt(pid, () => vdsoCrc32c(root));
  const pace = new Pace({ ...options, pid, goesOn: (options.after ?? "continue") === "continue" });
  using output = Output.create(options.output ?? `core.${pid}`, { force: false, ...options, pace });
  const beginning = { ...options, gadgets, timeoutMs, ledger, isExact, pace, memory };
  using copies = Copies.begin(before, output, beginning);
  collectGarbage();
  using urgency = Urgency.begin();
  const phases = pace.stops();
  using family = Family.seize(root);
  faultPoint("after-seize");
  const stops = freezeAll(family, { timeoutMs, ledger });
  faultPoint("after-freeze");
  using standing = whileAllStand();
  phases.end("seize");
  const looking = { ...memory, known: (member: number) => copies.known(member) };
  const { look, leftOut } = leaveOutOfTree(lookAtTree(family.relatives, looking), skip);
  requireStart(pid, startOf(root, look), startTicks);
  refuse(pid, [...look.refusals, ...refusedChildren(pid, look, options)]);
  const members = stops.map((stop) => frozenOf(look, { ...stop, gadgets, policies: copies.policies }));
  const asked = askMembers(members, look);
  const sockets = readQueues(members, socketsIn(look));
  const inside = asked.flatMap(({ frozen, answers }) => refusedInside(root, { frozen, answers, sockets }));
  const rest = leaveOutOfTree({ ...look, refusals: inside }, skip);
  refuse(pid, rest.look.refusals);
  faultPoint("after-remote");
  using held = holdConnections(pid, {
    ...{ members, sockets, kill: options.after === "kill" },
    holdMs: options.tcpHoldMs ?? TCP_HOLD_MS,
  });
  faultPoint("after-hold");
  const spaces = spacesOf(look.relatives);
  const known = { vdsoCrc32c: vdso, cpu, host, spaces, leftOut: [...leftOut, ...rest.leftOut] };
  const copying = { known, copies, phases, sockets, connections: held.dumps, options };
  const copied = copyAll(root, { asked, look: rest.look, ...copying });
  faultPoint("after-copy");
  for (const call of stops.flatMap(({ restarting }) => restarting)) rememberRestart(call.tid, call, ledger);
  letGo(family, standing, options.after);
  phases.end("resume");
  urgency.end();
  using flags = copies.untrack();
  const finished = finish(output, { copied, look, copies, flags });
  if (finished === null) return null;
  if (options.after === "kill") killAll(family, held);
  return {
    ...resultOf(pid, { copied, finished, copies }),
    core: output.path,
    stopMs: phases.totalMs,
    phases: phases.ms,
    totalMs: performance.now() - begin,
    processes: look.relatives.length,
  };
}

function letGo(family: Family, standing: Disposable, after: CheckpointOptions["after"]): void {
  standing[Symbol.dispose]();
  if (after === "stop") family.releaseStopped();
  else if (after !== "kill") family.release();
}

/** Kept connections outlive the program only in the hands of their keeper. */
function killAll(family: Family, held: HeldConnections): void {
  held.killing();
  family.kill();
  held.commit();
}

/** Start time of the root in clock ticks since boot. */
function startOf(pid: number, { looks }: TreeLook): bigint {
  const look = looks.get(pid);
  if (look === undefined) throw changed(pid, null);
  return look.facts.stat.startTicks;
}

/** What takes longer than a stop should, found before it for each member; nothing for one that has just ended. */
function forEach<T>(
  { relatives, looks }: TreeLook,
  find: (pid: number, look: Look) => T,
): ReadonlyMap<number, T | null> {
  const root = relatives[0]?.pid ?? 0;
  return new Map(
    [...looks].map(([pid, look]) => [pid, unlessEnded(pid, { root, look: () => find(pid, look) })]),
  );
}

interface Finishing {
  readonly copied: readonly Copied[];
  readonly look: TreeLook;
  readonly copies: Copies;
  readonly flags: FlagsCheck;
}

/** What is left to write, and durability: the program already runs again. Null where flags of mappings changed meanwhile. */
function finish(output: Output, { copied, look, copies, flags }: Finishing): readonly Finished[] | null {
  const finished = copied.map((one) => ({ pid: one.pid, ...finishCore(one) }));
  if (!flags.holds()) return null;
  faultPoint("before-commit");
  const [first] = copied;
  const cores = new Map(finished.map(({ pid, written }) => [pid, written]));
  if (first === undefined || look.relatives.length === 1) output.commitFile(look.relatives[0]?.pid ?? 0);
  else output.commitFolder([...cores.keys()], manifestOf(look, { cores, host: first.state.host }));
  copies.handOver(copied, finished);
  return finished;
}
