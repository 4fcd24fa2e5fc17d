/**
 * A thread of ours in a stopped target, for calls whose result must not stay behind there: it has a table of
 * descriptors of its own, and its end leaves no trace, since threads are reaped by nobody. All threads of the target
 * stand while it lives. Should cr die, it ends by itself (orphan-home.ts).
 */
import { type Address, PAGE_BYTES } from "../state/address.js";
import { readMemory, writeMemory } from "./memory.js";
import { call, NativeError } from "./native.js";
import { type OrphanHome, orphanHome } from "./orphan-home.js";
import { innerPid } from "./pid-namespace.js";
import { type RemoteCall, runGuarded } from "./remote.js";
import { type Gadgets, guardedSite } from "./site.js";
import { decodeStatus } from "./stop.js";
import { threadsOf } from "./tasks.js";
import { readThread } from "./thread.js";
import { packInts } from "./tids.js";

/** CLONE_VM, CLONE_FS, CLONE_SIGHAND, CLONE_THREAD, CLONE_SYSVSEM: a thread, but for CLONE_FILES. */
const THREAD_FLAGS = 0x100 | 0x200 | 0x800 | 0x1_0000 | 0x4_0000;
const PTRACE_O_TRACECLONE = 1 << 3;
/** How long a task may take to be born or to end, in ms: it does nothing else. */
const PATIENCE_MS = 10_000;
/** Stops that a task may still report on its way home: of a stop of the whole group, say. */
const STOPS_MAX = 16;

/** Borrowed memory of a target (findPlace of site.ts): a page for the home of tasks, the rest for remote calls. */
export interface Workplace {
  readonly pid: number;
  readonly gadgets: Gadgets;
  readonly place: Address;
  readonly placeBytes: number;
}

/** A task of ours in the memory of a target, standing. */
export interface Helper {
  readonly tid: number;
  /** Runs calls in it; results as the kernel gave them. Throws `NativeError`, `RemoteInterrupted`. */
  run(calls: readonly RemoteCall[], options?: number): bigint[];
  readonly home: OrphanHome;
}

/**
 * Makes the thread, runs `act`, and waits for its end; the borrowed memory is as it was. `registers` are those of the
 * stopped main thread. Null when the kernel makes no thread (EAGAIN: a limit). Throws `NativeError`.
 */
export function withHelperThread<T>(
  work: Workplace,
  registers: Buffer,
  act: (helper: Helper) => T,
): T | null {
  const { pid, place } = work;
  const home = orphanHome(place, work.gadgets);
  const before = readMemory(pid, place, PAGE_BYTES);
  try {
    writeMemory(pid, place, home.image);
    const clone: RemoteCall = { name: "clone", args: [THREAD_FLAGS, home.waiting, 0, 0, 0] };
    const [made = -1n] = runHere(work, pid, { registers, calls: [clone], options: PTRACE_O_TRACECLONE });
    if (made < 0n) return null;
    const tid = numberHere(pid, Number(made));
    awaitBirth(tid);
    try {
      return act(helperOf(work, tid, home));
    } finally {
      endTask(tid);
    }
  } finally {
    writeMemory(pid, place, before);
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
  { gadgets, place, placeBytes }: Workplace,
  tid: number,
  batch: { readonly registers: Buffer; readonly calls: readonly RemoteCall[]; readonly options: number },
): bigint[] {
  const facts = { placeBytes: placeBytes - PAGE_BYTES, registers: batch.registers };
  const site = guardedSite(gadgets, place + BigInt(PAGE_BYTES), facts);
  return runGuarded(
    tid,
    { ...site, options: batch.options },
    { calls: batch.calls, scratch: Buffer.alloc(0) },
  );
}
