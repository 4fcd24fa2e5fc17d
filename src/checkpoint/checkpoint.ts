/**
 * `checkpoint`: the recipe. Look and refuse; open the output; seize and stop; look again; ask the process; copy
 * its memory; let it go; write the rest of the core; make it durable. Leaves every step to its own file.
 */

import { CrError } from "../errors.js";
import { faultPoint } from "../fault.js";
import { cpuFeatures } from "../host/cpu-features.js";
import type { SoftError } from "../state/soft-error.js";
import { haveFlagsOf } from "../tracee/maps.js";
import { readPolicies } from "../tracee/numa-maps.js";
import { findGadgets } from "../tracee/site.js";
import type { Tracee } from "../tracee/tracee.js";
import { vdsoCrc32c } from "../tracee/vdso.js";
import { type Answers, ask, type Frozen } from "./ask.js";
import { assembleState, type CapturedState, hostFacts, SKIPPED } from "./capture.js";
import type { CopiedMemory } from "./copied-memory.js";
import { type Contents, copyInStop, copying, finish } from "./copy-out.js";
import { FarEnds } from "./far-ends.js";
import { freeze, seize } from "./freeze.js";
import { lastRound, mappingsLater } from "./last-round.js";
import { leaveOut } from "./leave-out.js";
import { type Look, lookAtProcess } from "./look.js";
import { lookAhead } from "./look-ahead.js";
import { MappedFiles } from "./mappings.js";
import { MemoryCopy } from "./memory-copy.js";
import { withPolicies } from "./memory-policies.js";
import { type Begun, beginCopy, type Mode, makeFork, NO_COPY, unavailable } from "./mode.js";
import { OutputFile } from "./output.js";
import { Phases, type StopPhases } from "./phases.js";
import { refuse } from "./refusal.js";
import { refusedContents } from "./refused-contents.js";
import { refusedInterior } from "./refused-interior.js";
import { type RestartLedger, rememberRestart } from "./restarted-calls.js";
import { attempt, checkTarget } from "./target.js";

const TIMEOUT_MS = 30_000;

export interface CheckpointOptions {
  /** Path of the core; default `core.<pid>` in the current folder. */
  readonly output?: string;
  /** Replace an existing core. */
  readonly force?: boolean;
  /** What becomes of the program: `continue` (default), `kill` once the core is durable, `stop` by SIGSTOP. */
  readonly after?: "continue" | "kill" | "stop";
  /** Keep the regular files that it can write to in the core, to be put back whole. */
  readonly files?: "snapshot";
  /** What may be left out where it cannot be saved: `KIND:ID` as a refusal names it, such as `fd:7`. */
  readonly skip?: readonly string[];
  /** Refuse when anything can only be saved with a soft error. */
  readonly strict?: boolean;
  /** Start time of the process in clock ticks since boot: NO_SUCH_PROCESS when the pid is another's by now. */
  readonly startTicks?: bigint;
  /** For a process that is checkpointed again and again: keeps its timeouts from starting anew for ever. */
  readonly ledger?: RestartLedger;
  /** How long the process may take to stop, in ms; default 30 s. */
  readonly timeoutMs?: number;
  /** How the memory is copied (mode.ts); default: so that the program stands still for the shortest time. */
  readonly mode?: Mode;
  /** Refuse when the program would have to stand still for longer, in ms. */
  readonly maxStopMs?: number;
}

export interface CheckpointResult {
  readonly pid: number;
  /** Its pid in a pid namespace of its own, where it has one. */
  readonly innerPid?: number;
  /** The program's name (comm). */
  readonly name: string;
  /** Full path of the core. */
  readonly core: string;
  readonly mode: Mode;
  /** How long the program stood still, and the whole operation, in ms. */
  readonly stopMs: number;
  /** The parts of `stopMs`. */
  readonly phases: StopPhases;
  readonly totalMs: number;
  /** Bytes of memory that are not zero, and pages stored. */
  readonly bytes: number;
  readonly pages: number;
  readonly rounds: number;
  readonly threads: number;
  readonly processes: number;
  readonly softErrors: readonly SoftError[];
}

/**
 * Saves a running process into a core file. The process goes on whatever happens, unless `after` says otherwise
 * and the core is durable. Throws `CrError`: NO_SUCH_PROCESS, NOT_PERMITTED, ALREADY_TRACED, UNSUPPORTED_PROCESS,
 * UNSUPPORTED_STATE, FREEZE_TIMEOUT, TARGET_CHANGED, REMOTE_CALL, OUTPUT_EXISTS, OUTPUT_UNSAFE, OUTPUT_FAILED.
 */
export async function checkpoint(pid: number, options: CheckpointOptions = {}): Promise<CheckpointResult> {
  if (!Number.isInteger(pid) || pid <= 0) throw new RangeError(`not a pid: ${pid}`);
  const isExact = options.after === "kill" || options.after === "stop";
  return attemptCheckpoint(pid, options, isExact) ?? attemptCheckpoint(pid, options, true) ?? never(pid);
}

function never(pid: number): never {
  throw new RangeError(`process ${pid} was read exactly and had to be read again`);
}

/**
 * One attempt. The flags of mappings take long to read, since the kernel counts every page for them. Unless `isExact`
 * they are read before and after the stop instead: null when they changed in between.
 */
function attemptCheckpoint(
  pid: number,
  options: CheckpointOptions,
  isExact: boolean,
): CheckpointResult | null {
  const begin = performance.now();
  checkTarget(pid);
  const mappedFiles = new MappedFiles();
  const farEnds = new FarEnds();
  const [cpu, host] = [cpuFeatures(), hostFacts()];
  const skip = options.skip ?? [];
  const before = attempt(pid, () => lookAhead(pid, { mappedFiles, farEnds, skip }));
  requireStart(pid, before, options.startTicks ?? before.facts.stat.startTicks);
  refuse(pid, before.refusals);
  const gadgets = findGadgets(pid, before.facts.vmas);
  const policies = attempt(pid, () => readPolicies(pid));
  const vdso = attempt(pid, () => vdsoCrc32c(pid));
  using output = OutputFile.create(options.output ?? `core.${pid}`, { force: options.force ?? false });
  using memory = new MemoryCopy(pid, output);
  const ledger = options.ledger ?? new Map();
  const key = `${pid}:${before.facts.stat.startTicks}`;
  const freezing = { timeoutMs: options.timeoutMs ?? TIMEOUT_MS, ledger, key };
  const begun = copying(pid, output, () =>
    beginCopy({ pid, look: before, gadgets, freezing }, memory, options),
  );
  const known = memory.isTracking ? lastRound({ pid, memory, output, isExact, mode: begun.mode }) : undefined;
  memory.prepare(begun.leftBytes);
  const phases = new Phases();
  using tracee = seize(pid);
  faultPoint("after-seize");
  const { threads, restarting } = freeze(tracee, freezing);
  faultPoint("after-freeze");
  phases.end("seize");
  const looking = { farEnds, ...(known !== undefined && { known }) };
  const { look, leftOut } = attempt(pid, () => leaveOut(lookAtProcess(pid, mappedFiles, looking), skip));
  requireStart(pid, look, before.facts.stat.startTicks);
  refuse(pid, look.refusals);
  const frozen: Frozen = { tracee, threads, look, gadgets };
  const answers = ask(frozen);
  const refusals = [...refusedInterior(look, answers.process), ...refusedContents(pid, look.files)];
  const rest = leaveOut({ ...look, refusals }, skip);
  refuse(pid, rest.look.refusals);
  faultPoint("after-remote");
  const facts = { vdsoCrc32c: vdso, cpu, host, leftOut: [...leftOut, ...rest.leftOut] };
  const captured = withPolicies(assembleState({ ...frozen, look: rest.look }, answers, facts), policies);
  refuseSoft(pid, captured, options.strict ?? false);
  phases.end("state");
  const { state, contents } = copyStopped(
    { captured, frozen, answers, begun, memory, output, phases },
    options,
  );
  phases.end("copy");
  faultPoint("after-copy");
  for (const call of restarting) rememberRestart(call.tid, call, ledger);
  if (options.after !== "kill") letGo(tracee, options.after);
  phases.end("resume");
  memory.untrack();
  if (known && !haveFlagsOf(known, mappingsLater(pid))) return null;
  const copied = finish(state, { pid, memory, contents, output });
  if (options.after === "kill") tracee.kill();
  return {
    ...resultOf(pid, state, copied),
    core: output.path,
    stopMs: phases.totalMs,
    phases: phases.ms,
    totalMs: performance.now() - begin,
    rounds: begun.rounds + (known && state.host.mode === "live" ? 2 : 1),
  };
}

interface Stopped {
  readonly captured: CapturedState;
  readonly frozen: Frozen;
  readonly answers: Answers;
  readonly begun: Begun;
  readonly memory: MemoryCopy;
  readonly output: OutputFile;
  readonly phases: Phases;
}

/** Copies what must be copied in the stop, in the way that was chosen, or in the way that is left. */
function copyStopped(
  stopped: Stopped,
  options: CheckpointOptions,
): { readonly state: CapturedState; readonly contents: Contents } {
  const { captured, frozen, answers, begun, memory, output, phases } = stopped;
  const { pid } = frozen.tracee;
  const fork = begun.mode === "fork" ? makeFork(frozen, answers) : null;
  if (fork === null && options.mode === "fork") throw unavailable(pid, "fork", NO_COPY);
  const isWhole = begun.mode === "fork" ? fork === null : !memory.isTracking;
  const state = { ...captured, host: { ...captured.host, mode: isWhole ? "stop" : begun.mode } };
  const open = frozen.look.facts.descriptors;
  const snapshot = options.files === "snapshot";
  const to = { memory, fork, phases, output, interior: answers.process, open, snapshot };
  return { state, contents: copying(pid, output, () => copyInStop(pid, state, to)) };
}

function resultOf(
  pid: number,
  state: CapturedState,
  { bytes, pages }: CopiedMemory,
): Omit<CheckpointResult, "core" | "stopMs" | "phases" | "totalMs" | "rounds"> {
  const { pid: innerPid, comm } = state.process;
  return {
    pid,
    ...(innerPid !== pid && { innerPid }),
    name: Buffer.from(comm, "latin1").toString(),
    mode: state.host.mode,
    bytes,
    pages,
    threads: state.threads.length,
    processes: 1,
    softErrors: state.softErrors,
  };
}

/** A pid alone does not name a process: it may be another's by now. */
function requireStart(pid: number, look: Look, startTicks: bigint): void {
  if (look.facts.stat.startTicks === startTicks) return;
  throw new CrError(
    "NO_SUCH_PROCESS",
    `cannot checkpoint process ${pid}: it ended and another process has its pid`,
    {
      hint: `look who has it now: ps -p ${pid}`,
    },
  );
}

function letGo(tracee: Tracee, after: CheckpointOptions["after"]): void {
  if (after === "stop") tracee.releaseStopped();
  else tracee.release();
}

function refuseSoft(pid: number, captured: CapturedState, strict: boolean): void {
  const unasked = captured.softErrors.filter(({ kind }) => kind !== SKIPPED);
  if (!strict || unasked.length === 0) return;
  const list = unasked.map((soft) => soft.message).join("; ");
  throw new CrError("UNSUPPORTED_STATE", `cannot checkpoint process ${pid} strictly: ${list}`, {
    hint: "leave out --strict to accept this",
  });
}
