/**
 * `checkpoint`: the recipe. Look and refuse; open the output; seize and stop; look again; ask the process; copy
 * its memory; let it go; write the rest of the core; make it durable. Leaves every step to its own file.
 */

import { CrError } from "../errors.js";
import { faultPoint } from "../fault.js";
import { cpuFeatures } from "../host/cpu-features.js";
import type { SoftError } from "../state/soft-error.js";
import { readPolicies } from "../tracee/numa-maps.js";
import { Pagemap } from "../tracee/pagemap.js";
import { findGadgets } from "../tracee/site.js";
import { speakerOf } from "../tracee/tasks.js";
import type { Tracee } from "../tracee/tracee.js";
import { vdsoCrc32c } from "../tracee/vdso.js";
import { ask, type Frozen } from "./ask.js";
import { assembleState, type CapturedState, hostFacts, SKIPPED } from "./capture.js";
import { type Copied, copyOut, finishCore } from "./copy-out.js";
import { FarEnds } from "./far-ends.js";
import { freeze, seize } from "./freeze.js";
import { leaveOut } from "./leave-out.js";
import { type Look, lookAtProcess } from "./look.js";
import { lookAhead } from "./look-ahead.js";
import { MappedFiles } from "./mappings.js";
import { withPolicies } from "./memory-policies.js";
import { OutputFile } from "./output.js";
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
}

export interface CheckpointResult {
  readonly pid: number;
  /** Its pid in a pid namespace of its own, where it has one. */
  readonly innerPid?: number;
  /** The program's name (comm). */
  readonly name: string;
  /** Full path of the core. */
  readonly core: string;
  readonly mode: "live" | "fork" | "stop";
  /** How long the program stood still, and the whole operation, in ms. */
  readonly stopMs: number;
  readonly totalMs: number;
  /** Bytes of memory written, and pages stored. */
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
  const begin = performance.now();
  checkTarget(pid);
  const mappedFiles = new MappedFiles();
  const farEnds = new FarEnds();
  const [cpu, host] = [cpuFeatures(), hostFacts()];
  const skip = options.skip ?? [];
  const main = speakerOf(pid);
  const before = attempt(pid, () => lookAhead(main, { mappedFiles, farEnds, skip }));
  requireStart(pid, before, options.startTicks ?? before.facts.stat.startTicks);
  refuse(pid, before.refusals);
  const gadgets = findGadgets(main, before.facts.vmas);
  const policies = attempt(pid, () => readPolicies(main));
  const vdso = attempt(pid, () => vdsoCrc32c(main));
  using output = OutputFile.create(options.output ?? `core.${pid}`, { force: options.force ?? false });
  using tracee = seize(pid, main);
  faultPoint("after-seize");
  const stopped = performance.now();
  const ledger = options.ledger ?? new Map();
  const key = `${pid}:${before.facts.stat.startTicks}`;
  const { threads, restarting } = freeze(tracee, { timeoutMs: options.timeoutMs ?? TIMEOUT_MS, ledger, key });
  faultPoint("after-freeze");
  // Not before the stop: an exec would leave us with the page table of a program that is gone.
  using pagemap = attempt(pid, () => new Pagemap(main));
  const { look, leftOut } = attempt(pid, () => leaveOut(lookAtProcess(main, mappedFiles, farEnds), skip));
  requireStart(pid, look, before.facts.stat.startTicks);
  refuse(pid, look.refusals);
  const frozen: Frozen = { tracee, threads, look, gadgets };
  const answers = ask(frozen);
  const refusals = [...refusedInterior(look, answers.process), ...refusedContents(main, look.files)];
  const rest = leaveOut({ ...look, refusals }, skip);
  refuse(pid, rest.look.refusals);
  faultPoint("after-remote");
  const known = { vdsoCrc32c: vdso, cpu, host, leftOut: [...leftOut, ...rest.leftOut] };
  const captured = withPolicies(assembleState({ ...frozen, look: rest.look }, answers, known), policies);
  refuseSoft(pid, captured, options.strict ?? false);
  const copied = copyOut(captured, {
    tracee,
    output,
    pagemap,
    interior: answers.process,
    open: look.facts.descriptors,
    snapshot: options.files === "snapshot",
  });
  faultPoint("after-copy");
  for (const call of restarting) rememberRestart(call.tid, call, ledger);
  if (options.after !== "kill") letGo(tracee, options.after);
  const stopMs = performance.now() - stopped;
  finish(output, copied);
  if (options.after === "kill") tracee.kill();
  return {
    pid,
    ...(captured.process.pid !== pid && { innerPid: captured.process.pid }),
    name: Buffer.from(captured.process.comm, "latin1").toString(),
    core: output.path,
    mode: "stop",
    stopMs,
    totalMs: performance.now() - begin,
    bytes: copied.writtenBytes,
    pages: copied.pages,
    rounds: 1,
    threads: captured.threads.length,
    processes: 1,
    softErrors: captured.softErrors,
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

/** The program already runs again. */
function finish(output: OutputFile, copied: Copied): void {
  finishCore(copied);
  faultPoint("before-commit");
  output.commit();
}

function refuseSoft(pid: number, captured: CapturedState, strict: boolean): void {
  const unasked = captured.softErrors.filter(({ kind }) => kind !== SKIPPED);
  if (!strict || unasked.length === 0) return;
  const list = unasked.map((soft) => soft.message).join("; ");
  throw new CrError("UNSUPPORTED_STATE", `cannot checkpoint process ${pid} strictly: ${list}`, {
    hint: "leave out --strict to accept this",
  });
}
