/**
 * Where a stopped process is asked: instructions and memory that were proven safe (tracee/site.ts), with room for as many
 * threads at a time as its stack has; and what is said when that fails.
 */
import { CrError } from "../errors.js";
import type { Address } from "../state/address.js";
import { isNativeError } from "../tracee/native-error.js";
import { type ParkingPlace, parkBytesFor } from "../tracee/park.js";
import { RemoteInterrupted } from "../tracee/remote.js";
import {
  findGadgets,
  findPlace,
  type Gadgets,
  lowestOnStack,
  placeBytesFor,
  stillThere,
} from "../tracee/site.js";
import type { Tracee } from "../tracee/tracee.js";
import { changed } from "./freeze.js";
import type { Frozen } from "./frozen.js";
import { INTERIOR_SCRATCH_BYTES, THREAD_SCRATCH } from "./interior.js";
import { unsupportedState } from "./refusal.js";

const SIGSTOP = 19;
/** Threads of one process that are asked at a time: more of its stack would hardly make it faster. */
const ROOMS_MAX = 16;
/** What stays between them and the main thread's stack pointer: should cr die, it runs on when it has waited for a while. */
const APART_BYTES = 32 << 10;
/** How long that is, in ms: the others need some microseconds of CPU time to get home. */
const WAIT_MS = 1_000;

export interface Site {
  readonly gadgets: Gadgets;
  /** For the main thread, or all that are asked about the process. */
  readonly place: Address;
  readonly placeBytes: number;
  /** For the other threads, once the main thread is done: places in the same memory, and the bytes of each. */
  readonly rooms: readonly Address[];
  readonly roomBytes: number;
  /** For the main thread while others are asked; null where there are none, or where filters see what it does as an orphan. */
  readonly park: ParkingPlace | null;
}

/** Throws UNSUPPORTED_STATE where there is none. */
export function findSite({ tracee, threads, look, gadgets: known }: Frozen): Site {
  const { pid } = tracee;
  const { vmas } = look.facts;
  const main = threads.get(pid);
  if (main === undefined) throw new RangeError(`process ${pid} has no main thread`);
  const xstateBytes = Math.max(...[...threads.values()].map(({ xstate }) => xstate.length));
  const placeBytes = placeBytesFor(INTERIOR_SCRATCH_BYTES, xstateBytes);
  const roomBytes = placeBytesFor(THREAD_SCRATCH.bytes, xstateBytes);
  const gadgets = known && stillThere(pid, known) ? known : findGadgets(pid, vmas);
  if (gadgets === null) throw cannotAsk(pid, "no code to return from a signal with");
  const rsp = lowestOnStack(
    vmas,
    [...threads.values()].map(({ registers }) => registers),
  );
  const stack = { vmas, rsp };
  const isParked = threads.size > 1 && look.facts.seccompMode === 0;
  const parkBytes = isParked ? parkBytesFor(xstateBytes) : 0;
  for (let rooms = Math.min(ROOMS_MAX, threads.size - 1); ; rooms >>= 1) {
    const bytes = Math.max(placeBytes, rooms * roomBytes);
    const isLast = bytes === placeBytes;
    const free = parkBytes + (isLast ? bytes : bytes + APART_BYTES);
    const place = findPlace(pid, { ...stack, placeBytes: free, mayGrow: isLast });
    if (place === null && isLast) throw cannotAsk(pid, "no memory that is proven free");
    if (place === null) continue;
    const at = (room: number) => place + BigInt(room * roomBytes);
    const fitting = Array.from({ length: Math.floor(bytes / roomBytes) }, (_, room) => at(room));
    const parkAt = place + BigInt(bytes);
    const park = isParked ? { gadgets, place: parkAt, placeBytes: parkBytes, waitMs: WAIT_MS } : null;
    return { gadgets, place, placeBytes, rooms: fitting, roomBytes, park };
  }
}

function cannotAsk(pid: number, what: string): CrError {
  return unsupportedState(pid, [{ kind: "code", id: "", what: `${what}, which cr needs to ask it safely` }]);
}

/** Errors of the native library in the user's words. */
export function attemptIn<T>(tracee: Tracee, look: () => T): T {
  try {
    return look();
  } catch (error) {
    throw error instanceof CrError ? error : askFailed(tracee, tracee.pid, error);
  }
}

/** What a thread's batch failed with; a signal that cut it short is handed on when it is let go. */
export function askFailed(tracee: Tracee, tid: number, error: unknown): unknown {
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
