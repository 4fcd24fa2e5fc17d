/**
 * Copying a process while it runs: whether that is possible and worth it, a brief stop to begin, rounds until little is
 * left. What cannot be tracked is left for the stop (memory-copy.ts); where tracking itself is not to be trusted, all is.
 */
import { faultPoint } from "../fault.js";
import { Urgency } from "../host/urgency.js";
import { PAGE_BYTES } from "../state/address.js";
import { hasDirectDescriptor } from "../tracee/descriptors.js";
import type { Workplace } from "../tracee/helper-thread.js";
import { parseSmaps, readMapsText } from "../tracee/maps.js";
import { isNativeError } from "../tracee/native-error.js";
import { PageTracker } from "../tracee/page-tracker.js";
import { parkBytesFor } from "../tracee/park.js";
import { readStatus } from "../tracee/proc-status.js";
import { RemoteInterrupted } from "../tracee/remote.js";
import {
  findGadgets,
  findPlace,
  type Gadgets,
  lowestOnStack,
  placeBytesFor,
  stillThere,
} from "../tracee/site.js";
import type { ThreadRegisters } from "../tracee/thread.js";
import type { Tracee } from "../tracee/tracee.js";
import { type Round, wantsRound } from "./convergence.js";
import { changed, type FreezeOptions, freeze, seize } from "./freeze.js";
import type { Look } from "./look.js";
import type { MemoryCopy } from "./memory-copy.js";
import { rememberRestart } from "./restarted-calls.js";
import { attempt } from "./target.js";

/** A process that holds less is copied sooner than it is prepared for anything else, in bytes. */
const SMALL_BYTES = 8 << 20;

/** What is written between the last round and the stop, at least, in bytes. */
const LEFT_BYTES_MIN = 2 << 20;

/** A process before its stop. */
export interface Candidate {
  readonly pid: number;
  readonly look: Look;
  readonly gadgets: Gadgets | null;
  readonly freezing: FreezeOptions;
  /** There are other members. */
  readonly isOfTree: boolean;
}

/** What came of it. `why` says why it could not be tracked, for the user; null when it was. */
export interface LiveCopy {
  readonly rounds: number;
  /** What is expected to be left in the stop, in bytes. */
  readonly leftBytes: number;
  readonly why: string | null;
}

/** Bytes of a process's own memory (RssAnon of proc_pid_status(5)). */
export function ownBytes({ facts }: Look): number {
  return Number.parseInt(facts.status.get("RssAnon") ?? "0", 10) * 1024;
}

/** Why a thread of ours cannot work in the process (tracee/helper-thread.ts); null when it can. */
export function whyNoHelper({ facts }: Look): string | null {
  return facts.seccompMode === 0 ? null : "it has seccomp filters";
}

/** True where rounds save nothing: the whole is copied quickly enough. */
export function isSmall(look: Look): boolean {
  return ownBytes(look) < SMALL_BYTES;
}

/** Copies the running process in rounds. Throws TARGET_CHANGED and what freezing throws; `NativeError` of the copy. */
export function copyWhileItRuns(candidate: Candidate, memory: MemoryCopy): LiveCopy {
  const nothing = { rounds: 0, leftBytes: ownBytes(candidate.look) };
  const why = whyNoHelper(candidate.look);
  const { pid } = candidate;
  const isDirect = why === null && attempt(pid, () => hasDirectDescriptor(pid));
  if (why !== null || isDirect) {
    memory.untrack();
    return { ...nothing, why: why ?? DIRECT };
  }
  const mappings = () => attempt(pid, () => parseSmaps(readMapsText(pid)));
  if (!memory.isTracking) {
    const tracker = startTracking(candidate);
    if (tracker === null) return { ...nothing, why: "its writes cannot be tracked here" };
    memory.track(tracker, mappings());
  }
  let before = performance.now();
  for (let rounds = 1, last: Round | null = null; ; rounds += 1) {
    const { copiedBytes, scannedMs } = memory.round(mappings());
    faultPoint("after-round");
    if (attempt(pid, () => hasDirectDescriptor(pid))) {
      memory.untrack();
      return { ...nothing, rounds, why: DIRECT };
    }
    const copyMs = performance.now() - scannedMs;
    const round: Round = {
      rounds,
      copiedBytes,
      copyMs,
      dirtiedBytes: last === null ? 0 : copiedBytes,
      dirtiedMs: last === null ? 0 : scannedMs - before,
    };
    before = scannedMs;
    last = round;
    if (!wantsRound(round)) {
      return { rounds, leftBytes: Math.max(copiedBytes, LEFT_BYTES_MIN), why: null };
    }
  }
}

/** The disk writes into memory behind the page table's back while such a read is on its way (open(2), O_DIRECT). */
const DIRECT = "it has a file open with O_DIRECT";

/** A brief stop in which the process is given to the tracker; null where that cannot be. */
function startTracking({ pid, gadgets, freezing }: Candidate): PageTracker | null {
  using _urgency = Urgency.begin();
  using tracee = seize(pid);
  const { threads, restarting } = freeze(tracee, freezing);
  const filtered = [...threads.keys()].some(
    (tid) => attempt(pid, () => readStatus(pid, tid)).get("Seccomp") !== "0",
  );
  const main = threads.get(pid);
  try {
    const work = main && !filtered ? findWorkplace(pid, threads, gadgets) : null;
    return main && work ? PageTracker.start(work, main) : null;
  } catch (error) {
    return giveUp(tracee, error);
  } finally {
    for (const call of restarting) rememberRestart(call.tid, call, freezing.ledger);
  }
}

/** Borrowed memory and instructions for a thread of ours; null where there is none. `threads` stand, the main one is first. */
export function findWorkplace(
  pid: number,
  threads: ReadonlyMap<number, ThreadRegisters>,
  known: Gadgets | null,
): Workplace | null {
  const vmas = parseSmaps(readMapsText(pid));
  const gadgets = known && stillThere(pid, known) ? known : findGadgets(pid, vmas);
  if (gadgets === null) return null;
  const all = [...threads.values()];
  const xstateBytes = Math.max(...all.map(({ xstate }) => xstate.length));
  const [callBytes, parkBytes] = [placeBytesFor(0, xstateBytes), parkBytesFor(xstateBytes)];
  const rsp = lowestOnStack(
    vmas,
    all.map(({ registers }) => registers),
  );
  const place = findPlace(pid, { vmas, rsp, placeBytes: callBytes + PAGE_BYTES + parkBytes });
  return place === null ? null : { pid, gadgets, place, callBytes, parkBytes };
}

/** A process that is gone is an error; one that cannot be asked is stopped for all of the copy instead. */
function giveUp(tracee: Tracee, error: unknown): null {
  if (isNativeError(error, "ESRCH")) throw changed(tracee.pid, error);
  if (error instanceof RemoteInterrupted) {
    tracee.owe(tracee.pid, error.signal);
    return null;
  }
  if (isNativeError(error)) return null;
  throw error;
}
