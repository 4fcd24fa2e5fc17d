/**
 * `restore`: the recipe. Read and check the core; check the host, the files, the pid; open what the program needs;
 * start a newborn; rebuild it; roll files back; let it go. Until the last step nothing of the program runs, and
 * whatever fails leaves no process and no changed file behind.
 */

import type { Chain } from "../core/chain.js";
import { coreMemory } from "../core/core-memory.js";
import { type CoreFile, openCore } from "../core/reader.js";
import { faultPoint } from "../fault.js";
import { bootId } from "../host/boot.js";
import { cpuFeatures } from "../host/cpu-features.js";
import { nowMs } from "../host/monotonic.js";
import type { ProcessState } from "../state/process.js";
import type { SoftError } from "../state/soft-error.js";
import { cpuComponents } from "../tracee/native.js";
import { unpack } from "../tracee/unpack.js";
import { ownVdso } from "../tracee/vdso.js";
import type { Apart } from "./apart.js";
import { asSeenHere } from "./caller-groups.js";
import { openWholeChain, readWhole } from "./check-intact.js";
import { checkBeforeRestore } from "./checks.js";
import { clocksHere } from "./clocks.js";
import { requireConsent } from "./consent.js";
import { explained } from "./explained.js";
import type { FdPlacement } from "./fd-placement.js";
import { type PreparedFiles, type PrepareOptions, prepareFiles } from "./files.js";
import { type Foreground, openForeground } from "./foreground.js";
import { rejoinGroups } from "./groups.js";
import { type Inheritance, inherit } from "./inherit.js";
import { LazyMemory } from "./lazy.js";
import { type MadeAgain, makeGoneFiles } from "./made-again.js";
import { type Placed, recordedPlaces } from "./placed.js";
import { openWorkshop, rebuild } from "./rebuild.js";
import type { FilesPolicy } from "./regular-file.js";
import { type OpenedSegments, openSegments } from "./segments.js";
import { groupFor, sessionDifferences } from "./session.js";
import { openSharedMappings, rollbackSharedMapping, type SharedMappings } from "./shared-mappings.js";
import { putSnapshotsBack } from "./snapshots.js";
import { type MadeSpaces, makeSpaces } from "./spaces.js";
import { spawn } from "./spawn.js";
import { type OpenedIpc, openIpc } from "./sysv-ipc.js";
import { type ForeignVdso, planForeignVdso } from "./vdso.js";

export interface RestoreOptions extends Apart {
  /** The executable; the core names it when left out. */
  readonly exe?: string | undefined;
  /** Let the program go on by itself in a session of its own, instead of being its parent in the foreground. */
  readonly detach?: boolean;
  /** Start it at once and bring its memory when it is touched (lazy.ts). */
  readonly lazy?: boolean;
  /** Leave it stopped by SIGSTOP, for a debugger; implies `detach`. */
  readonly stopped?: boolean;
  /** Its own pid (default), or whatever the kernel gives. */
  readonly pid?: "keep" | "new";
  /** What becomes of files that changed since: put back (default) or left alone. */
  readonly files?: FilesPolicy;
  readonly fds?: readonly FdPlacement[];
  /** Where what is cut off files is kept: names begin with this path, that of the core when left out. */
  readonly beside?: string | undefined;
  /** What becomes of TCP connections to the outside: go on with kept ones (default), or find them closed. */
  readonly tcp?: PrepareOptions["tcp"];
  /** Restore a core of somebody else's. */
  readonly trust?: boolean;
  /** What it may lack: `KIND:ID` as a refusal names it; what the checkpoint left out has to be repeated. */
  readonly skip?: readonly string[];
  /** Chooses CPUs for threads with these recorded affinities; the recorded ones when left out. */
  readonly place?: (recorded: readonly (readonly number[])[]) => Placed;
}

export interface Restored {
  readonly pid: number;
  /** All pids of a process tree, the root's first. */
  readonly processes?: readonly number[];
  /** Its pid in a pid namespace of its own, where it has one. */
  readonly innerPid?: number;
  readonly softErrors: readonly SoftError[];
  /** From the call to the program's first instruction, in ms. */
  readonly totalMs: number;
  /** Waits for the program's end and is its parent until then; null when it was detached. */
  readonly foreground: Foreground | null;
}

/**
 * Restarts the program of a core file. Throws `CrError` with nothing left behind: BAD_CORE, CORE_TRUNCATED,
 * CORE_CORRUPT, CORE_NOT_OWNED, FORMAT_VERSION, FOREIGN_CORE, CREDENTIALS, XSTATE_MISMATCH, VDSO_MISMATCH,
 * EXE_MISSING, EXE_CHANGED, FILE_CHANGED, FILE_MISSING, FD_OUTSIDE, PID_TAKEN, LIMIT_TOO_LOW, RESTORE_FAILED, ….
 */
export async function restore(path: string, options: RestoreOptions = {}): Promise<Restored> {
  const begin = nowMs();
  using core = openCore(path, { unpack });
  const foreign = core.origin !== "recore";
  const recorded = asSeenHere(readWhole(core, options), options.callerGroups ?? null);
  using chain = openWholeChain(core, recorded, options);
  const { state: adapted, vdso, softErrors: accepted } = adapt(core, recorded, options);
  const policy = options.files ?? "rollback";
  const sameBoot = adapted.host.bootId === bootId();
  const soft = await checkBeforeRestore(adapted, {
    machine: { components: cpuComponents() },
    coreFd: core.fd,
    exe: options.exe,
    policy,
    sameBoot,
    foreign,
    keepPid: options.pid !== "new",
  });
  const clocks = clocksHere(adapted.host, sameBoot);
  const placed = options.place?.(adapted.threads.map(({ affinity }) => affinity)) ?? recordedPlaces(adapted);
  const corePath = options.beside ?? path;
  using snapshots = putSnapshotsBack(adapted.files, { policy, coreFd: core.fd, corePath });
  using madeAgain = makeGoneFiles(
    { ...adapted, files: snapshots.files },
    { policy, putBack: snapshots.paths },
  );
  const { state } = madeAgain;
  using spaces = makeSpaces(state);
  using shared = openSharedMappings(state.vmas, policy, snapshots.paths);
  using segments = openSegments([{ state, coreFd: core.fd }]);
  using ipc = openIpc(state, [state.process.pid]);
  using prepared = prepareFiles(state.files, {
    ...{ policy, placements: options.fds ?? [], tcp: options.tcp },
    ...{ corePath, coreFd: core.fd, sameBoot, foreign },
    vmas: state.vmas,
    runs: state.runs,
  });
  const exe = options.exe ?? state.process.exe.path;
  using inheritance = inherit({ state, prepared, shared, exe });
  const lazy = options.lazy ? new LazyMemory({ core, heritage: chain.heritage }, corePath) : null;
  const known = { core, chain, state, options, lazy, placed, exe, policy, foreign, clocks, vdso };
  const started = tryStart({ ...known, inheritance, prepared, shared, madeAgain, segments, ipc, spaces });
  snapshots.keep();
  const softErrors = [
    ...state.softErrors,
    ...soft,
    ...accepted,
    ...placed.softErrors,
    ...spaces.softErrors,
    ...shared.softErrors,
    ...segments.softErrors,
    ...ipc.softErrors,
    ...snapshots.softErrors,
    ...madeAgain.softErrors,
    ...prepared.softErrors,
    ...started.softErrors,
  ];
  return { pid: started.pid, softErrors, totalMs: nowMs() - begin, foreground: started.foreground };
}

/** The state as it can be on this host, with what the caller consents to lack. */
function adapt(core: CoreFile, recorded: ProcessState, { skip = [], detach, stopped }: RestoreOptions) {
  const vdso = planForeignVdso(recorded, { own: ownVdso(), memory: coreMemory(core, core.segments) });
  const { state, softErrors } = requireConsent(
    { ...recorded, vmas: vdso?.vmas ?? recorded.vmas },
    { skip, detach: (detach ?? false) || (stopped ?? false), cpu: cpuFeatures() },
  );
  return { state, vdso, softErrors: [...(vdso?.softErrors ?? []), ...softErrors] };
}

interface StartParts {
  readonly lazy: LazyMemory | null;
  readonly core: CoreFile;
  readonly chain: Chain;
  readonly state: ProcessState;
  readonly options: RestoreOptions;
  readonly placed: Placed;
  readonly inheritance: Inheritance;
  readonly prepared: PreparedFiles;
  readonly shared: SharedMappings;
  readonly madeAgain: MadeAgain<ProcessState>;
  readonly segments: OpenedSegments;
  readonly ipc: OpenedIpc;
  readonly exe: string;
  readonly policy: FilesPolicy;
  readonly foreign: boolean;
  readonly clocks: string;
  readonly vdso: ForeignVdso | null;
  readonly spaces: MadeSpaces;
}

/** `start`, with what went wrong below in the user's words. */
function tryStart(parts: StartParts): ReturnType<typeof start> {
  try {
    return start(parts);
  } catch (error) {
    throw parts.lazy?.failure() ?? explained(error, parts.core.path);
  }
}

/** From the fork to the first instruction; the newborn dies with anything that fails in here. */
function start(parts: StartParts): { pid: number; foreground: Foreground | null; softErrors: SoftError[] } {
  const { core, state, options, placed, inheritance, prepared, shared } = parts;
  const detach = (options.detach ?? false) || (options.stopped ?? false);
  using newborn = spawn({
    state,
    exe: parts.exe,
    keepPid: options.pid !== "new",
    group: groupFor(state, detach),
    inheritance,
    clocks: parts.clocks,
  });
  faultPoint("restore-after-spawn");
  const groups = rejoinGroups(newborn.pid, state);
  placed.confine(newborn.pid);
  const workshop = parts.spaces.areEntered ? openWorkshop(newborn, state) : undefined;
  if (workshop) parts.spaces.enter(workshop, state);
  rebuild(newborn, {
    state,
    pages: core.pages,
    chain: parts.chain,
    lazy: parts.lazy,
    inheritance,
    prepared,
    affinity: placed.affinity,
    foreign: parts.foreign,
    vdso: parts.vdso,
    ipc: parts.ipc,
    ...(workshop && { workshop }),
  });
  faultPoint("restore-after-rebuild");
  let foreground: Foreground | null = null;
  const differences = parts.foreign ? [] : sessionDifferences(state, detach);
  const softErrors = [...differences, ...groups, ...prepared.commit()];
  try {
    if (parts.policy === "rollback") {
      for (const mapping of shared.mappings) rollbackSharedMapping(core.fd, mapping, state.runs);
    }
    parts.segments.rollBack();
    parts.ipc.rollBack();
    if (!detach) foreground = (options.attend ?? openForeground)({ pid: newborn.pid });
    if (parts.lazy && foreground) foreground = parts.lazy.attended(foreground);
    options.announce?.(newborn.pid);
    prepared.handOver();
    parts.segments.keep();
    parts.ipc.keep();
    parts.madeAgain.name();
    if (detach) parts.lazy?.leave();
    newborn.release({ stopped: (options.stopped ?? false) || state.process.stopSignal !== 0 });
    parts.lazy?.letFill();
    if (detach) parts.lazy?.[Symbol.dispose]();
    for (const feed of prepared.feeds) feed.start({ follow: !detach });
  } catch (error) {
    foreground?.[Symbol.dispose]();
    prepared.undo();
    parts.madeAgain.undo();
    throw error;
  }
  return { pid: newborn.pid, foreground, softErrors };
}
