/**
 * `checkpoint`: the recipe. Look and refuse; open the output; seize and stop; look again; ask the process; copy
 * its memory; let it go; write the rest of the core; make it durable. Leaves every step to its own file.
 */

import { availableParallelism } from "node:os";
import { planCore } from "../core/layout.js";
import { writeCoreTail } from "../core/writer.js";
import { CrError } from "../errors.js";
import { faultPoint } from "../fault.js";
import type { FileState } from "../state/fd.js";
import type { ProcessState } from "../state/process.js";
import type { SoftError } from "../state/soft-error.js";
import { copyMemoryTo } from "../tracee/memory.js";
import { isNativeError } from "../tracee/native-error.js";
import { Pagemap } from "../tracee/pagemap.js";
import { findGadgets } from "../tracee/site.js";
import type { Tracee } from "../tracee/tracee.js";
import { vdsoCrc32c } from "../tracee/vdso.js";
import { ask, type Frozen } from "./ask.js";
import { assembleState, type CapturedState } from "./capture.js";
import { copyContents } from "./contents.js";
import { FarEnds } from "./far-ends.js";
import { changed, freeze, seize } from "./freeze.js";
import type { Interior } from "./interior.js";
import { type Look, lookAtProcess, lookBeforeStop } from "./look.js";
import { MappedFiles } from "./mappings.js";
import { OutputFile, outputFailed } from "./output.js";
import { planPages } from "./pages.js";
import { refuse } from "./refusal.js";
import { refusedContents } from "./refused-contents.js";
import { refusedInterior } from "./refused-interior.js";
import { type RestartLedger, rememberRestart } from "./restarted-calls.js";
import { snapshotFiles } from "./snapshots.js";
import { attempt, checkTarget } from "./target.js";

/** Threads of the bulk copy: the copying is CPU work, so no more than there are CPUs. */
const COPY_THREADS = Math.min(4, availableParallelism());
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
  const before = attempt(pid, () => lookBeforeStop(() => lookAtProcess(pid, mappedFiles, farEnds)));
  requireStart(pid, before, options.startTicks ?? before.facts.stat.startTicks);
  refuse(pid, before.refusals);
  const gadgets = findGadgets(pid, before.facts.vmas);
  const vdso = attempt(pid, () => vdsoCrc32c(pid));
  using output = OutputFile.create(options.output ?? `core.${pid}`, { force: options.force ?? false });
  using tracee = seize(pid);
  faultPoint("after-seize");
  const stopped = performance.now();
  const ledger = options.ledger ?? new Map();
  const key = `${pid}:${before.facts.stat.startTicks}`;
  const { threads, restarting } = freeze(tracee, { timeoutMs: options.timeoutMs ?? TIMEOUT_MS, ledger, key });
  faultPoint("after-freeze");
  // Not before the stop: an exec would leave us with the page table of a program that is gone.
  using pagemap = attempt(pid, () => new Pagemap(pid));
  const look = attempt(pid, () => lookAtProcess(pid, mappedFiles, farEnds));
  requireStart(pid, look, before.facts.stat.startTicks);
  refuse(pid, look.refusals);
  const frozen: Frozen = { tracee, threads, look, gadgets };
  const answers = ask(frozen);
  refuse(pid, [...refusedInterior(look, answers.process), ...refusedContents(pid, look.files)]);
  faultPoint("after-remote");
  const captured = assembleState(frozen, answers, vdso);
  refuseSoft(pid, captured, options.strict ?? false);
  const copied = copyOut(captured, {
    tracee,
    output,
    pagemap,
    interior: answers.process,
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

interface Copied {
  readonly state: ProcessState;
  readonly layout: ReturnType<typeof planCore>;
  readonly tailOffset: number;
  readonly writtenBytes: number;
  readonly pages: number;
}

/** Copies the memory and the deleted files of the stopped process to their places in the core. */
function copyOut(
  captured: CapturedState,
  to: { tracee: Tracee; output: OutputFile; pagemap: Pagemap; interior: Interior; snapshot: boolean },
): Copied {
  const { tracee, output, pagemap, interior } = to;
  try {
    const { vmas, stored } = planPages(tracee.pid, captured.vmas, pagemap);
    const layout = planCore(vmas, stored);
    const memory = copyMemoryTo(tracee.pid, output.bulkFd(layout.extraOffset), {
      ranges: layout.runs,
      threads: COPY_THREADS,
    });
    const runs = layout.runs.map((run, index) => ({ ...run, crc32c: memory.crc32c[index] ?? 0 }));
    const contents = copyContents(tracee.pid, captured.files, {
      fd: output.fd,
      fileOffset: layout.extraOffset,
      unreadInputBytes: interior.unreadInputBytes,
    });
    const { files, end } = to.snapshot ? withSnapshots(tracee.pid, contents, output.fd) : contents;
    const pages = runs.reduce((sum, run) => sum + run.lengthBytes, 0) / 4096;
    return {
      state: { ...captured, vmas, files, runs },
      layout,
      tailOffset: end,
      writtenBytes: memory.writtenBytes,
      pages,
    };
  } catch (error) {
    if (isNativeError(error, "ESRCH")) throw changed(tracee.pid, error);
    if (isNativeError(error, "EFAULT")) {
      refuse(tracee.pid, [
        { kind: "mapping", id: "", what: "memory that cannot be read (a faulty page, or it just ended)" },
      ]);
    }
    throw outputFailed(output.path, error);
  }
}

function withSnapshots(
  pid: number,
  { files, end: fileOffset }: { readonly files: FileState; readonly end: number },
  fd: number,
): { readonly files: FileState; readonly end: number } {
  const { snapshots, end } = snapshotFiles(pid, files, { fd, fileOffset });
  return { files: { ...files, snapshots }, end };
}

function letGo(tracee: Tracee, after: CheckpointOptions["after"]): void {
  if (after === "stop") tracee.releaseStopped();
  else tracee.release();
}

/** Headers, notes and durability: the program already runs again. */
function finish(output: OutputFile, copied: Copied): void {
  const { layout, state, tailOffset } = copied;
  try {
    writeCoreTail(output.fd, { layout, state, tailOffset });
  } catch (error) {
    throw outputFailed(output.path, error);
  }
  faultPoint("before-commit");
  output.commit();
}

function refuseSoft(pid: number, captured: CapturedState, strict: boolean): void {
  if (!strict || captured.softErrors.length === 0) return;
  const list = captured.softErrors.map((soft) => soft.message).join("; ");
  throw new CrError("UNSUPPORTED_STATE", `cannot checkpoint process ${pid} strictly: ${list}`, {
    hint: "leave out --strict to accept this",
  });
}
