/**
 * A thread of ours in a stopped target, for calls whose result must not stay behind there: it has a table of
 * descriptors of its own, and its end leaves no trace, since threads are reaped by nobody. All threads of the target
 * stand while it lives. Should cr die, it ends by itself (orphan-home.ts), and the main thread waits for that (park.ts).
 */
import { type Address, PAGE_BYTES } from "../state/address.js";
import { readMemory, writeMemory } from "./memory.js";
import { call, NativeError } from "./native.js";
import { type OrphanHome, orphanHome } from "./orphan-home.js";
import { Park } from "./park.js";
import { innerPid } from "./pid-namespace.js";
import { type RemoteCall, RemoteInterrupted, runGuarded } from "./remote.js";
import { type Gadgets, guardedSite } from "./site.js";
import { decodeStatus } from "./stop.js";
import { threadsOf } from "./tasks.js";
import { readThread, type ThreadRegisters } from "./thread.js";
import { packInts } from "./tids.js";

/** CLONE_VM, CLONE_FS, CLONE_SIGHAND, CLONE_THREAD, CLONE_SYSVSEM: a thread, but for CLONE_FILES. CLONE_CHILD_CLEARTID. */
const THREAD_FLAGS = 0x100 | 0x200 | 0x800 | 0x1_0000 | 0x4_0000 | 0x20_0000;
const PTRACE_O_TRACECLONE = 1 << 3;
/** How long a task may take to be born or to end, in ms: it does nothing else. */
const PATIENCE_MS = 10_000;
/** Stops that a task may still report on its way home: of a stop of the whole group, say. */
const STOPS_MAX = 16;

/** How long the main thread of an orphan waits for the thread to be gone: only where it was never made does it take that long. */
const WAIT_MS = 2_000;

/**
 * Borrowed memory of a target (findPlace of site.ts): for remote calls of tasks, then a page for their home, then for the
 * main thread. Whoever is on his way home has his stack pointer below all that he needs.
 */
export interface Workplace {
  readonly pid: number;
  readonly gadgets: Gadgets;
  readonly place: Address;
  readonly callBytes: number;
  readonly parkBytes: number;
}

/** A task of ours in the memory of a target, standing. */
export interface Helper {
  readonly tid: number;
  /** Runs calls in it; results as the kernel gave them. Throws `NativeError`, `RemoteInterrupted`. */
  run(calls: readonly RemoteCall[], options?: number): bigint[];
  readonly home: OrphanHome;
}

/**
 * Makes the thread, runs `act`, and waits for its end; the borrowed memory is as it was. `main` is what the stopped main
 * thread has. Null when the kernel makes no thread (EAGAIN: a limit). Throws `NativeError`, `RemoteInterrupted`.
 */
export function withHelperThread<T>(
  work: Workplace,
  main: Pick<ThreadRegisters, "registers" | "sigmask">,
  act: (helper: Helper) => T,
): T | null {
  const { pid, gadgets, place, callBytes, parkBytes } = work;
  const homeAt = place + BigInt(callBytes);
  const home = orphanHome(homeAt, gadgets);
  const before = readMemory(pid, place, callBytes + PAGE_BYTES);
  const parkAt = homeAt + BigInt(PAGE_BYTES);
  const park = new Park(pid, { gadgets, place: parkAt, placeBytes: parkBytes, waitMs: WAIT_MS }, main);
  let isHome = true;
  try {
    writeMemory(pid, homeAt, home.image);
    const args = [THREAD_FLAGS, home.waiting, 0, park.word, 0];
    const { made, interrupted } = clone(park, { name: "clone", args });
    if (made <= 0n && interrupted === null) return null;
    isHome = made <= 0n;
    const tid = isHome ? 0 : numberHere(pid, Number(made));
    try {
      if (!isHome) awaitBirth(tid);
      if (interrupted !== null) throw interrupted;
      return act(helperOf(work, tid, home));
    } finally {
      if (!isHome) endTask(tid);
      isHome = true;
    }
  } finally {
    // A thread that did not end may still come home through this memory, and is waited for.
    if (isHome) {
      park[Symbol.dispose]();
      writeMemory(pid, place, before);
    }
  }
}

/** A signal may come right behind the call: then there is a thread all the same. */
function clone(park: Park, call: RemoteCall): { made: bigint; interrupted: RemoteInterrupted | null } {
  try {
    const [made = -1n] = park.run([call], PTRACE_O_TRACECLONE);
    return { made, interrupted: null };
  } catch (error) {
    if (!(error instanceof RemoteInterrupted)) throw error;
    return { made: error.results[0] ?? 0n, interrupted: error };
  }
}

/** Our number of a thread that the process knows by `tid`: another one where it has a pid namespace of its own. */
function numberHere(pid: number, tid: number): number {
  if (innerPid(pid) === pid) return tid;
  const found = threadsOf(pid).find((each) => innerPid(pid, each) === tid);
  if (found === undefined) throw new NativeError("cr_wait", "ESRCH");
  return found;
}

/** A task that stands: what it may be asked to run. */
export function helperOf(work: Workplace, tid: number, home: OrphanHome): Helper {
  return {
    tid,
    home,
    run: (calls, options = 0) => runHere(work, tid, { registers: readThread(tid).registers, calls, options }),
  };
}

/** Waits for the first stop of a task that its maker's tracer got with it. */
export function awaitBirth(tid: number): void {
  const stop = awaitStop(tid);
  if (stop.kind === "exited" || stop.kind === "signaled") throw new NativeError("cr_wait", "ESRCH");
}

/** Sends it home and waits until it is gone. */
export function endTask(tid: number): void {
  for (let stops = 0; stops < STOPS_MAX; stops += 1) {
    call("cr_resume", tid, 0);
    const stop = awaitStop(tid);
    if (stop.kind === "exited" || stop.kind === "signaled") return;
  }
  throw new NativeError("cr_resume", "EBUSY");
}

function awaitStop(tid: number): ReturnType<typeof decodeStatus> {
  const status = Buffer.alloc(4);
  call("cr_wait", packInts([tid]), 1, status, PATIENCE_MS);
  const word = status.readInt32LE();
  if (word < 0) throw new NativeError("cr_wait", word === -110 ? "ETIMEDOUT" : "ESRCH");
  return decodeStatus(word);
}

function runHere(
  { gadgets, place, callBytes }: Workplace,
  tid: number,
  batch: { readonly registers: Buffer; readonly calls: readonly RemoteCall[]; readonly options: number },
): bigint[] {
  const site = guardedSite(gadgets, place, { placeBytes: callBytes, registers: batch.registers });
  return runGuarded(
    tid,
    { ...site, options: batch.options },
    { calls: batch.calls, scratch: Buffer.alloc(0) },
  );
}
