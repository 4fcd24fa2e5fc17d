/**
 * `restore`: the recipe. Read and check the core; check the host, the files, the pid; open what the program needs;
 * start a newborn; rebuild it; roll files back; let it go. Until the last step nothing of the program runs, and
 * whatever fails leaves no process and no changed file behind.
 */
import { fstatSync } from "node:fs";
import { readState } from "../core/read-state.js";
import { type CoreFile, openCore } from "../core/reader.js";
import { verifyCore } from "../core/verify.js";
import { CrError } from "../errors.js";
import { faultPoint } from "../fault.js";
import { bootId } from "../host/boot.js";
import { hasCapability } from "../host/capabilities.js";
import type { ProcessState } from "../state/process.js";
import type { SoftError } from "../state/soft-error.js";
import { hostClocks, readTimeOffsets } from "../tracee/clocks.js";
import { cpuComponents, crc32cRanges } from "../tracee/native.js";
import { isNativeError } from "../tracee/native-error.js";
import { NewbornLost } from "../tracee/newborn.js";
import { RemoteInterrupted } from "../tracee/remote.js";
import { ownVdsoCrc32c } from "../tracee/vdso.js";
import { checkOwner } from "./check-owner.js";
import { checkBeforeRestore } from "./checks.js";
import { planClocks } from "./clocks.js";
import type { FdPlacement } from "./fd-placement.js";
import { type PreparedFiles, type PrepareOptions, prepareFiles } from "./files.js";
import { type Foreground, openForeground } from "./foreground.js";
import { rejoinGroups } from "./groups.js";
import { type Inheritance, inherit } from "./inherit.js";
import { rebuild } from "./rebuild.js";
import type { FilesPolicy } from "./regular-file.js";
import { openSharedMappings, rollbackSharedMapping, type SharedMappings } from "./shared-mappings.js";
import { putSnapshotsBack } from "./snapshots.js";
import { spawn } from "./spawn.js";

export interface RestoreOptions {
  /** The executable; the core names it when left out. */
  readonly exe?: string | undefined;
  /** Let the program go on by itself in a session of its own, instead of being its parent in the foreground. */
  readonly detach?: boolean;
  /** Leave it stopped by SIGSTOP, for a debugger; implies `detach`. */
  readonly stopped?: boolean;
  /** Its own pid (default), or whatever the kernel gives. */
  readonly pid?: "keep" | "new";
  /** What becomes of files that changed since: put back (default) or left alone. */
  readonly files?: FilesPolicy;
  readonly fds?: readonly FdPlacement[];
  /** TCP connections to the outside: go on with kept ones (default), or let the program find them closed. */
  readonly tcp?: PrepareOptions["tcp"];
  /** Restore a core of somebody else's. */
  readonly trust?: boolean;
  /** Chooses CPUs for threads with these recorded affinities; the recorded ones when left out. */
  readonly place?: (recorded: readonly (readonly number[])[]) => Placed;
}

/** Where the program is to run. */
export interface Placed {
  /** One affinity a thread. */
  readonly affinity: readonly (readonly number[])[];
  readonly softErrors: readonly SoftError[];
  /** Confines the process before it is rebuilt (cpuset). */
  confine(pid: number): void;
}

export interface Restored {
  readonly pid: number;
  /** All pids of a process tree, the root's first. */
  readonly processes?: readonly number[];
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
  const begin = performance.now();
  using core = openCore(path);
  checkOwner({ path, stat: fstatSync(core.fd) }, { trust: options.trust ?? false });
  const foreign = core.origin !== "recore";
  const state = readState(core);
  if (!foreign) requireIntact(core);
  const detach = (options.detach ?? false) || (options.stopped ?? false);
  if (detach) requireNoDeathSignal(state);
  const policy = options.files ?? "rollback";
  const sameBoot = state.host.bootId === bootId();
  const soft = await checkBeforeRestore(state, {
    machine: { components: cpuComponents(), vdsoCrc32c: ownVdsoCrc32c() },
    coreFd: core.fd,
    exe: options.exe,
    policy,
    sameBoot,
    foreign,
    keepPid: options.pid !== "new",
  });
  const clocks = planClocks(state.host, {
    sameBoot,
    host: hostClocks(),
    own: readTimeOffsets("self"),
    mayShift: hasCapability("CAP_SYS_ADMIN") && hasCapability("CAP_SYS_TIME"),
  });
  const placed = options.place?.(state.threads.map(({ affinity }) => affinity)) ?? recordedPlaces(state);
  using snapshots = putSnapshotsBack(state.files, { policy, coreFd: core.fd, corePath: path });
  using shared = openSharedMappings(state.vmas, policy);
  using prepared = prepareFiles(snapshots.files, {
    policy,
    ...{ placements: options.fds ?? [], tcp: options.tcp },
    corePath: path,
    coreFd: core.fd,
    vmas: state.vmas,
    sameBoot,
    foreign,
  });
  const exe = options.exe ?? state.process.exe.path;
  using inheritance = inherit({ state, coreFd: core.fd, prepared, shared, exe });
  const started = tryStart({
    core,
    state,
    options,
    placed,
    inheritance,
    prepared,
    shared,
    exe,
    policy,
    foreign,
    clocks,
  });
  snapshots.keep();
  const softErrors = [
    ...state.softErrors,
    ...soft,
    ...placed.softErrors,
    ...shared.softErrors,
    ...snapshots.softErrors,
    ...prepared.softErrors,
    ...started.softErrors,
  ];
  return { pid: started.pid, softErrors, totalMs: performance.now() - begin, foreground: started.foreground };
}

interface StartParts {
  readonly core: CoreFile;
  readonly state: ProcessState;
  readonly options: RestoreOptions;
  readonly placed: Placed;
  readonly inheritance: Inheritance;
  readonly prepared: PreparedFiles;
  readonly shared: SharedMappings;
  readonly exe: string;
  readonly policy: FilesPolicy;
  readonly foreign: boolean;
  readonly clocks: string;
}

/** `start`, with what went wrong below in the user's words. */
function tryStart(parts: StartParts): ReturnType<typeof start> {
  try {
    return start(parts);
  } catch (error) {
    throw explained(error, parts.core.path);
  }
}

/** What went wrong inside a newborn, in the user's words; other errors as they are. */
export function explained(error: unknown, path: string): unknown {
  const isOfNewborn =
    error instanceof NewbornLost || error instanceof RemoteInterrupted || isNativeError(error);
  if (!isOfNewborn) return error;
  return new CrError("RESTORE_FAILED", `cannot rebuild the program of ${path}: ${error.message}`, {
    hint: "nothing of it ran; try again, and look at dmesg if it was killed (out of memory)",
    cause: error,
  });
}

/** From the fork to the first instruction; the newborn dies with anything that fails in here. */
function start(parts: StartParts): { pid: number; foreground: Foreground | null; softErrors: SoftError[] } {
  const { core, state, options, placed, inheritance, prepared, shared } = parts;
  const detach = (options.detach ?? false) || (options.stopped ?? false);
  const ledGroup = state.process.pgid === state.process.pid;
  const group = detach ? "session" : ledGroup ? "own" : "shared";
  using newborn = spawn({
    state,
    exe: parts.exe,
    keepPid: options.pid !== "new",
    group,
    inheritance,
    clocks: parts.clocks,
  });
  faultPoint("restore-after-spawn");
  const groups = rejoinGroups(newborn.pid, state);
  placed.confine(newborn.pid);
  rebuild(newborn, {
    state,
    coreFd: core.fd,
    inheritance,
    prepared,
    affinity: placed.affinity,
    foreign: parts.foreign,
  });
  faultPoint("restore-after-rebuild");
  let foreground: Foreground | null = null;
  const softErrors = [...groups, ...prepared.commit()];
  try {
    if (parts.policy === "rollback") {
      for (const mapping of shared.mappings) rollbackSharedMapping(core.fd, mapping, state.runs);
    }
    if (!detach) foreground = openForeground({ pid: newborn.pid });
    prepared.handOver();
    newborn.release({ stopped: (options.stopped ?? false) || state.process.stopSignal !== 0 });
    for (const feed of prepared.feeds) feed.start({ follow: !detach });
  } catch (error) {
    foreground?.[Symbol.dispose]();
    prepared.undo();
    throw error;
  }
  return { pid: newborn.pid, foreground, softErrors };
}

function recordedPlaces(state: ProcessState): Placed {
  return { affinity: state.threads.map(({ affinity }) => affinity), softErrors: [], confine: () => {} };
}

/** A program that wants to die with its parent would die as soon as cr leaves it. */
export function requireNoDeathSignal({ process: { parentDeathSignal } }: ProcessState): void {
  if (parentDeathSignal === 0) return;
  const message = `cannot let the program go on by itself: it asked for signal ${parentDeathSignal} when its parent ends`;
  throw new CrError("UNSUPPORTED_STATE", `${message}, and that would be cr`, {
    hint: "restore it in the foreground, without --detach",
  });
}

/** Every checksum, before anything is started: a program must not run on altered memory. */
export function requireIntact(core: CoreFile): void {
  const { ok, problems } = verifyCore(core, crc32cRanges);
  if (ok) return;
  throw new CrError(
    "CORE_CORRUPT",
    `cannot restore ${core.path}: ${problems[0]?.message ?? "a checksum does not match"}`,
    {
      hint: "restore an earlier checkpoint; cr verify tells which ones are good",
      data: { problems },
    },
  );
}
