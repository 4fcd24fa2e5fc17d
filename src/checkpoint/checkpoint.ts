/**
 * `checkpoint`: the recipe. Look and refuse; open the output; seize and stop; look again; ask the process; copy
 * its memory; let it go; write the rest of the core; make it durable. Leaves every step to its own file.
 */

import { CrError, isErrno } from "../errors.js";
import { faultPoint } from "../fault.js";
import type { SoftError } from "../state/soft-error.js";
import type { Vma } from "../state/vma.js";
import { hasDirectDescriptor } from "../tracee/descriptors.js";
import { FrozenCopy } from "../tracee/frozen-copy.js";
import { haveFlagsOf } from "../tracee/maps.js";
import { findGadgets } from "../tracee/site.js";
import type { Tracee } from "../tracee/tracee.js";
import { vdsoCrc32c } from "../tracee/vdso.js";
import { type Answers, ask, type Frozen } from "./ask.js";
import { assembleState, type CapturedState } from "./capture.js";
import { copyInStop, copying, finish } from "./copy-out.js";
import { FarEnds } from "./far-ends.js";
import { freeze, seize } from "./freeze.js";
import { findWorkplace } from "./live.js";
import { type Look, lookAtProcess, lookBeforeStop, mappingsOf } from "./look.js";
import { MappedFiles } from "./mappings.js";
import { MemoryCopy } from "./memory-copy.js";
import { beginCopy, type Mode, unavailable } from "./mode.js";
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
  const look = (known?: readonly Vma[] | null) =>
    attempt(pid, () => lookAtProcess(pid, mappedFiles, { farEnds, ...(known !== undefined && { known }) }));
  const before = lookBeforeStop(look);
  requireStart(pid, before, options.startTicks ?? before.facts.stat.startTicks);
  refuse(pid, before.refusals);
  const gadgets = findGadgets(pid, before.facts.vmas);
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
  const inStop = look(known);
  requireStart(pid, inStop, before.facts.stat.startTicks);
  refuse(pid, inStop.refusals);
  const frozen: Frozen = { tracee, threads, look: inStop, gadgets };
  const answers = ask(frozen);
  refuse(pid, [...refusedInterior(inStop, answers.process), ...refusedContents(pid, inStop.files)]);
  faultPoint("after-remote");
  const captured = assembleState(frozen, answers, vdso);
  refuseSoft(pid, captured, options.strict ?? false);
  phases.end("state");
  const fork = begun.mode === "fork" ? makeFork(frozen, answers) : null;
  if (fork === null && options.mode === "fork") throw unavailable(pid, "fork", NO_COPY);
  const isWhole = begun.mode === "fork" ? fork === null : !memory.isTracking;
  const mode = isWhole ? "stop" : begun.mode;
  const state = { ...captured, host: { ...captured.host, mode } };
  const beside = { output, interior: answers.process, snapshot: options.files === "snapshot" };
  const contents = copying(pid, output, () => copyInStop(state, { memory, fork, phases, ...beside }));
  phases.end("copy");
  faultPoint("after-copy");
  for (const call of restarting) rememberRestart(call.tid, call, ledger);
  if (options.after !== "kill") letGo(tracee, options.after);
  phases.end("resume");
  memory.untrack();
  if (known && !haveFlagsOf(known, mappingsLater(pid))) return null;
  const copied = finish(state, { memory, contents, output });
  if (options.after === "kill") tracee.kill();
  const { bytes, pages } = copied;
  return {
    ...resultOf(state),
    core: output.path,
    mode,
    stopMs: phases.totalMs,
    phases: phases.ms,
    totalMs: performance.now() - begin,
    bytes,
    pages,
    rounds: begun.rounds + (known && mode === "live" ? 2 : 1),
  };
}

/**
 * Reads the flags of mappings and makes up for the time that took; null when they are to be read in the stop. Undefined
 * when it cannot be copied while it runs after all.
 */
function lastRound(to: {
  readonly pid: number;
  readonly memory: MemoryCopy;
  readonly output: OutputFile;
  readonly isExact: boolean;
  readonly mode: Mode;
}): Vma[] | null | undefined {
  if (to.isExact) return null;
  const known = attempt(to.pid, () => mappingsOf(to.pid));
  if (to.mode === "fork") return known;
  copying(to.pid, to.output, () => to.memory.round(known));
  if (!attempt(to.pid, () => hasDirectDescriptor(to.pid))) return known;
  to.memory.untrack();
  return undefined;
}

function resultOf(
  state: CapturedState,
): Pick<CheckpointResult, "pid" | "name" | "threads" | "processes" | "softErrors"> {
  const { pid, comm } = state.process;
  const name = Buffer.from(comm, "latin1").toString();
  return { pid, name, threads: state.threads.length, processes: 1, softErrors: state.softErrors };
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

const NO_COPY = "the kernel makes no copy of it, or it would become its parent (PR_SET_CHILD_SUBREAPER)";

/** A copy to save from while the process runs on; null where that cannot be had. */
function makeFork({ tracee: { pid }, threads, gadgets }: Frozen, { process }: Answers): FrozenCopy | null {
  // It would get our orphan for a child.
  if ((process.settings.subreaper & 0xffffffffn) !== 0n) return null;
  const main = threads.get(pid);
  const work = main && findWorkplace(pid, main, gadgets);
  return main && work ? attempt(pid, () => FrozenCopy.make(work, main.registers)) : null;
}

/** Mappings of a process that may have ended since it was let go: then nothing speaks against what was read before. */
function mappingsLater(pid: number): Vma[] {
  try {
    return mappingsOf(pid);
  } catch (error) {
    if (isErrno(error, "ENOENT", "ESRCH")) return [];
    throw error;
  }
}

function letGo(tracee: Tracee, after: CheckpointOptions["after"]): void {
  if (after === "stop") tracee.releaseStopped();
  else tracee.release();
}

function refuseSoft(pid: number, captured: CapturedState, strict: boolean): void {
  if (!strict || captured.softErrors.length === 0) return;
  const list = captured.softErrors.map((soft) => soft.message).join("; ");
  throw new CrError("UNSUPPORTED_STATE", `cannot checkpoint process ${pid} strictly: ${list}`, {
    hint: "leave out --strict to accept this",
  });
}
