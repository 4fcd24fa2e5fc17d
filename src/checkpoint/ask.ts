/**
 * What only the process itself can tell: guarded remote calls (interior.ts) run by its threads, one after the other,
 * at instructions and in memory that were proven safe (tracee/site.ts).
 */
import { CrError } from "../errors.js";
import type { Address } from "../state/address.js";
import { getRegister } from "../state/registers.js";
import type { PosixTimer } from "../state/timer.js";
import { isNativeError } from "../tracee/native-error.js";
import { type RemoteCall, RemoteInterrupted, runGuarded } from "../tracee/remote.js";
import {
  findGadgets,
  findPlace,
  type Gadgets,
  guardedSite,
  placeBytesFor,
  stillThere,
} from "../tracee/site.js";
import type { ThreadRegisters } from "../tracee/thread.js";
import type { Tracee } from "../tracee/tracee.js";
import { lookAtFilters } from "./filters.js";
import { changed } from "./freeze.js";
import {
  decodeInterior,
  decodeThreadInterior,
  INTERIOR_SCRATCH_BYTES,
  type Interior,
  interiorCalls,
  SELDOM_AT,
  signalsToAsk,
  type ThreadInterior,
  threadCalls,
} from "./interior.js";
import type { Look } from "./look.js";
import { askTimers } from "./posix-timers.js";
import { type Refusal, refuse, unsupportedState } from "./refusal.js";
import {
  decodeSeldom,
  refusedHardware,
  refusedOfThread,
  type Seldom,
  seldomCalls,
  seldomThreadCalls,
} from "./seldom.js";

const SIGSTOP = 19;
const PR_GET_DUMPABLE = 3;

/** What is known from outside before the interior is asked. */
export interface Frozen {
  readonly tracee: Tracee;
  /** Every thread's registers by tid, the main thread first. */
  readonly threads: ReadonlyMap<number, ThreadRegisters>;
  readonly look: Look;
  /** Instructions found before the stop; searched again when they moved. */
  readonly gadgets: Gadgets | null;
}

/** What the process told: the main thread about all, every thread about itself. */
export interface Answers {
  readonly process: Interior;
  readonly threads: ReadonlyMap<number, ThreadInterior>;
  readonly posixTimers: readonly PosixTimer[];
  /** seccomp filters, the oldest first. */
  readonly filters: readonly Buffer[];
  /** What few programs have. */
  readonly seldom: Seldom;
}

/** Asks every thread in a guarded batch of its own. UNSUPPORTED_STATE when there is no safe way to. */
export function ask(frozen: Frozen): Answers {
  const { tracee, threads, look } = frozen;
  const { filters, refusals } = lookAtFilters([...threads.keys()], look.facts.seccompMode);
  refuse(tracee.pid, [...refusals, ...attemptIn(tracee, () => refusedHardware([...threads.keys()]))]);
  const site = attemptIn(tracee, () => findSite(frozen));
  const signals = signalsToAsk(look.facts.status);
  const main = interiorCalls(site.place, signals).length;
  let interior: Interior | null = null;
  let seldom: Seldom | null = null;
  const kept: Refusal[] = [];
  const answers = new Map<number, ThreadInterior>();
  for (const [tid, registers] of threads) {
    const isMain = tid === tracee.pid;
    const scratch = Buffer.alloc(INTERIOR_SCRATCH_BYTES);
    const ofThread = [...seldomThreadCalls(filters), ...threadCalls(site.place)];
    const seldomAt = site.place + BigInt(SELDOM_AT);
    const ofProcess = [...interiorCalls(site.place, signals), ...seldomCalls(seldomAt, filters)];
    const calls = isMain ? [...ofProcess, ...ofThread] : ofThread;
    const results = runIn(tracee, { tid, registers, site, calls, scratch });
    if (isMain) {
      interior = decodeInterior(results, scratch, signals);
      seldom = decodeSeldom(results.slice(main), scratch.subarray(SELDOM_AT), filters);
    }
    kept.push(...refusedOfThread(tid, results.slice(-ofThread.length)));
    answers.set(tid, decodeThreadInterior(results, scratch));
  }
  if (interior === null || seldom === null) throw new RangeError(`process ${tracee.pid} has no main thread`);
  refuse(tracee.pid, [...seldom.refusals, ...kept]);
  return { process: interior, threads: answers, posixTimers: timersOf(frozen, site), filters, seldom };
}

/**
 * Takes back a SIGSTOP that waits for a stopped process, as if it had never been sent: any batch of calls ends in its
 * delivery, and what is not handed on is gone.
 */
export function takeBackStop(frozen: Frozen): void {
  const { tracee, threads } = frozen;
  const registers = threads.get(tracee.pid);
  if (registers === undefined) throw new RangeError(`process ${tracee.pid} has no main thread`);
  const { gadgets, place, placeBytes } = attemptIn(tracee, () => findSite(frozen));
  const site = guardedSite(gadgets, place, { placeBytes, registers: registers.registers });
  const calls: RemoteCall[] = [{ name: "prctl", args: [PR_GET_DUMPABLE, 0, 0, 0, 0] }];
  try {
    runGuarded(tracee.pid, site, { calls, scratch: Buffer.alloc(INTERIOR_SCRATCH_BYTES) });
  } catch (error) {
    if (!(error instanceof RemoteInterrupted && error.signal === SIGSTOP))
      throw askFailed(tracee, tracee.pid, error);
  }
}

/** The main thread can ask for the timers of all. */
function timersOf({ tracee, threads, look }: Frozen, site: Site): PosixTimer[] {
  const registers = threads.get(tracee.pid);
  if (registers === undefined) throw new RangeError(`process ${tracee.pid} has no main thread`);
  return askTimers(look.facts.timers, INTERIOR_SCRATCH_BYTES, (callsAt, scratch) =>
    runIn(tracee, { tid: tracee.pid, registers, site, calls: callsAt(site.place), scratch }),
  );
}

interface Site {
  readonly gadgets: Gadgets;
  readonly place: Address;
  readonly placeBytes: number;
}

function attemptIn<T>(tracee: Tracee, look: () => T): T {
  try {
    return look();
  } catch (error) {
    throw error instanceof CrError ? error : askFailed(tracee, tracee.pid, error);
  }
}

/** One place serves all threads: they run in it one at a time, while the others stand. */
function findSite({ tracee, threads, look, gadgets: known }: Frozen): Site {
  const { pid } = tracee;
  const { vmas } = look.facts;
  const main = threads.get(pid);
  if (main === undefined) throw new RangeError(`process ${pid} has no main thread`);
  const placeBytes = placeBytesFor(INTERIOR_SCRATCH_BYTES, main.xstate.length);
  const gadgets = known && stillThere(pid, known) ? known : findGadgets(pid, vmas);
  if (gadgets === null) throw cannotAsk(pid, "no code to return from a signal with");
  const place = findPlace(pid, { vmas, rsp: getRegister(main.registers, "rsp"), placeBytes });
  if (place === null) throw cannotAsk(pid, "no memory that is proven free");
  return { gadgets, place, placeBytes };
}

function cannotAsk(pid: number, what: string): CrError {
  return unsupportedState(pid, [{ kind: "code", id: "", what: `${what}, which cr needs to ask it safely` }]);
}

interface Batch {
  readonly tid: number;
  readonly registers: ThreadRegisters;
  readonly site: Site;
  readonly calls: readonly RemoteCall[];
  readonly scratch: Buffer;
}

function runIn(tracee: Tracee, { tid, registers, site, calls, scratch }: Batch): bigint[] {
  const { gadgets, place, placeBytes } = site;
  const guarded = guardedSite(gadgets, place, { placeBytes, registers: registers.registers });
  try {
    return runGuarded(tid, guarded, { calls, scratch });
  } catch (error) {
    throw askFailed(tracee, tid, error);
  }
}

function askFailed(tracee: Tracee, tid: number, error: unknown): unknown {
  const { pid } = tracee;
  if (isNativeError(error, "ESRCH")) return changed(pid, error);
  if (isNativeError(error, "ENOTSUP")) {
    const what =
      "system call dispatch (PR_SET_SYSCALL_USER_DISPATCH), which would catch the calls cr runs in it";
    return unsupportedState(pid, [{ kind: "setting", id: "dispatch", what }]);
  }
  if (error instanceof RemoteInterrupted && error.signal === SIGSTOP) {
    tracee.owe(tid, error.signal);
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
