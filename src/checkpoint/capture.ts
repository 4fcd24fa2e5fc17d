/** The state of a stopped process as plain data, memory aside: what it says itself and what /proc and ptrace say. */

import { statSync } from "node:fs";
import { hostname } from "node:os";
import { CrError } from "../errors.js";
import { bootId } from "../host/boot.js";
import { formatDevice } from "../host/device-number.js";
import { kernelRelease } from "../host/kernel.js";
import type { ProcessState } from "../state/process.js";
import { getRegister } from "../state/registers.js";
import { pathInside } from "../tracee/maps.js";
import { isNativeError } from "../tracee/native-error.js";
import { credentialsOf } from "../tracee/proc-status.js";
import { type GuardedSite, RemoteInterrupted, runGuarded } from "../tracee/remote.js";
import {
  findGadgets,
  findPlace,
  type Gadgets,
  guardedSite,
  placeBytesFor,
  stillThere,
} from "../tracee/site.js";
import { readPending, readScheduling, type ThreadRegisters } from "../tracee/thread.js";
import type { Tracee } from "../tracee/tracee.js";
import { VERSION } from "../version.js";
import { changed } from "./freeze.js";
import { decodeInterior, INTERIOR_SCRATCH_BYTES, type Interior, interiorCalls } from "./interior.js";
import type { Look } from "./look.js";
import { buildIdOf } from "./mappings.js";
import { unsupportedState } from "./refusal.js";

/** Byte of the XSAVE area where the mask of components in use stands (Intel SDM volume 1, 13.4.2). */
const XSTATE_BV_AT = 512;
/** Length of pr_psargs in the note NT_PRPSINFO. */
const ARGS_BYTES_MAX = 80;
const SIGSTOP = 19;

/** What is known from outside before the interior is asked. */
export interface Frozen {
  readonly tracee: Tracee;
  readonly thread: ThreadRegisters;
  readonly look: Look;
  /** Instructions found before the stop; searched again when they moved. */
  readonly gadgets: Gadgets | null;
}

/** The state without memory runs and without the contents of deleted files. */
export type CapturedState = Omit<ProcessState, "runs">;

/**
 * Asks the process itself, in one guarded batch. UNSUPPORTED_STATE when there is no safe way to, TARGET_CHANGED when
 * it was killed or stopped meanwhile, REMOTE_CALL when a call failed.
 */
export function askInterior(frozen: Frozen): Interior {
  const scratch = Buffer.alloc(INTERIOR_SCRATCH_BYTES);
  try {
    const site = findSite(frozen);
    const calls = interiorCalls(site.place);
    return decodeInterior(runGuarded(frozen.tracee.pid, site, { calls, scratch }), scratch);
  } catch (error) {
    throw askFailed(frozen.tracee, error);
  }
}

function findSite({ tracee, thread, look, gadgets: known }: Frozen): GuardedSite {
  const { pid } = tracee;
  const { vmas } = look.facts;
  const { registers } = thread;
  const placeBytes = placeBytesFor(INTERIOR_SCRATCH_BYTES, thread.xstate.length);
  const gadgets = known && stillThere(pid, known) ? known : findGadgets(pid, vmas);
  if (gadgets === null) throw cannotAsk(pid, "no code to return from a signal with");
  const place = findPlace(pid, { vmas, rsp: getRegister(registers, "rsp"), placeBytes });
  if (place === null) throw cannotAsk(pid, "no memory that is proven free");
  return guardedSite(gadgets, place, { placeBytes, registers });
}

function cannotAsk(pid: number, what: string): CrError {
  return unsupportedState(pid, [{ kind: "code", id: "", what: `${what}, which cr needs to ask it safely` }]);
}

function askFailed(tracee: Tracee, error: unknown): unknown {
  const { pid } = tracee;
  if (error instanceof CrError) return error;
  if (isNativeError(error, "ESRCH")) return changed(pid, error);
  if (isNativeError(error, "ENOTSUP")) {
    const what =
      "system call dispatch (PR_SET_SYSCALL_USER_DISPATCH), which would catch the calls cr runs in it";
    return unsupportedState(pid, [{ kind: "setting", id: "dispatch", what }]);
  }
  if (error instanceof RemoteInterrupted && error.signal === SIGSTOP) {
    tracee.owe(error.signal);
    return new CrError(
      "TARGET_CHANGED",
      `cannot checkpoint process ${pid}: it was stopped by a signal (SIGSTOP) meanwhile`,
      { hint: `continue it first: kill -CONT ${pid}`, cause: error },
    );
  }
  // All other signals are blocked then: one that comes all the same was our own doing and is not handed on.
  return new CrError("REMOTE_CALL", `cannot ask process ${pid} for its state: ${(error as Error).message}`, {
    hint: "the process goes on; report this with cr doctor --json",
    cause: error,
  });
}

/** Puts the state together; every part has been read in the same stop. */
export function assembleState(frozen: Frozen, interior: Interior, vdsoCrc32c: number | null): CapturedState {
  const { tracee, thread, look } = frozen;
  const { facts } = look;
  const { settings } = interior;
  return {
    process: processNote(frozen, settings),
    host: {
      tool: `recore ${VERSION}`,
      takenMs: Date.now(),
      hostname: hostname(),
      kernel: kernelRelease(),
      bootId: bootId(),
      xstateComponents: thread.xstate.readBigUInt64LE(XSTATE_BV_AT),
      vdsoCrc32c,
      mode: "stop",
    },
    threads: [threadState(frozen, interior)],
    mm: { ...facts.stat.mm, brk: interior.brk },
    auxv: facts.auxv,
    vmas: facts.vmas,
    signals: { actions: interior.actions, pending: readPending(tracee.pid, "process") },
    timers: { itimers: interior.itimers },
    files: look.files,
    limits: [...facts.limits],
    credentials: credentialsOf(facts.status, Number(settings.securebits)),
    softErrors: [],
    siginfo: null,
  };
}

function threadState(frozen: Frozen, interior: Interior): ProcessState["threads"][number] {
  const { tracee, thread, look } = frozen;
  const { affinity, ...scheduling } = readScheduling(tracee.pid);
  return {
    ...thread,
    tid: tracee.pid,
    comm: look.facts.stat.comm,
    pending: readPending(tracee.pid, "thread"),
    altStack: interior.altStack,
    clearChildTid: interior.settings.tidAddress,
    scheduling: { ...scheduling, timerSlackNs: interior.settings.timerSlack },
    affinity,
  };
}

function processNote(frozen: Frozen, settings: Interior["settings"]): ProcessState["process"] {
  const { facts } = frozen.look;
  const { pid } = frozen.tracee;
  const { stat, cwd } = facts;
  return {
    pid,
    ppid: stat.ppid,
    pgid: stat.pgid,
    sid: stat.sid,
    comm: stat.comm,
    args: facts.cmdline.replaceAll("\0", " ").trimEnd().slice(0, ARGS_BYTES_MAX),
    exe: exeIdentity(pid, facts.exe),
    startTicks: stat.startTicks,
    cwd: { path: cwd.path, dev: formatDevice(cwd.dev), ino: cwd.ino },
    umask: Number.parseInt(facts.status.get("Umask") ?? "22", 8),
    personality: facts.personality,
    oomScoreAdj: facts.oomScoreAdj,
    coredumpFilter: facts.coredumpFilter,
    dumpable: Number(settings.dumpable),
    parentDeathSignal: Number(settings.deathSignal & 0xffffffffn),
    childSubreaper: (settings.subreaper & 0xffffffffn) !== 0n,
    noNewPrivs: settings.noNewPrivs !== 0n,
    thpDisable: settings.thpDisable !== 0n,
  };
}

function exeIdentity(pid: number, path: string): ProcessState["process"]["exe"] {
  const outside = pathInside(pid, path);
  const stat = statSync(outside, { bigint: true });
  return {
    path,
    dev: formatDevice(stat.dev),
    ino: stat.ino,
    sizeBytes: Number(stat.size),
    mtimeNs: stat.mtimeNs,
    buildId: buildIdOf(outside),
  };
}
