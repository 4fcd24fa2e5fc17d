/**
 * A process under our ptrace, with all its threads: seized without a signal, stopped, let go. Whatever happens,
 * `release()` (also by `using`) lets it go on; should cr die, the kernel does. PTRACE_O_EXITKILL is never set on it.
 */
import { detach } from "./detach.js";
import { sendSignal } from "./kill.js";
import { call, errnoName, NativeError, tryCall } from "./native.js";
import { reap } from "./reap.js";
import { decodeStatus, jobStopSignal, type Stop } from "./stop.js";
import { leaderOf, mainThreadHasEnded, threadsOf } from "./tasks.js";
import { packInts, unpackInts } from "./tids.js";

const SIGKILL = 9;
const SIGSTOP = 19;
const ETIMEDOUT = 110;
/** After so long without a stop it is looked whether one can come at all, in ms. */
const PATIENCE_MS = 200;
/** How long a killed process may take to end, in ms. */
const KILL_WAIT_MS = 10_000;

/** The stop was not the answer to our interrupt: the process ended, or a signal or job control got in first. */
export class UnexpectedStop extends Error {
  readonly stop: Stop;
  constructor(stop: Stop) {
    super(`unexpected stop: ${stop.kind}`);
    this.name = "UnexpectedStop";
    this.stop = stop;
  }
}

/** The main thread has ended and others go on: a process that nobody can stop as a whole, or make again. */
export class MainThreadEnded extends Error {
  constructor(pid: number) {
    super(`the main thread of ${pid} has ended`);
    this.name = "MainThreadEnded";
  }
}

interface Thread {
  state: "running" | "stopped";
  /** A signal whose delivery we interrupted; handed on when the thread is let go. */
  signal: number;
}

export class Tracee {
  readonly pid: number;
  /** A main thread that has ended, which is listed to the end; `pid` is then another one. */
  readonly #ended: number | null;
  readonly #threads = new Map<number, Thread>();
  #stopSignal = 0;

  private constructor(pid: number) {
    this.pid = pid;
    const leader = leaderOf(pid);
    this.#ended = leader === pid ? null : leader;
  }

  /**
   * Attaches to every thread of a running process, the one by which it is reachable first, and asks it to stop (PTRACE_SEIZE, PTRACE_INTERRUPT). Throws
   * `NativeError` (EPERM, ESRCH) when the main thread cannot be had.
   */
  static seize(pid: number): Tracee {
    const tracee = new Tracee(pid);
    const results = tracee.#seize([pid, ...tracee.#listed().filter((tid) => tid !== pid)]);
    const main = results[0] ?? 0;
    if (main < 0) {
      tracee.release();
      throw new NativeError("cr_seize", errnoName(-main));
    }
    return tracee;
  }

  /** Its threads, the main one first. */
  get tids(): readonly number[] {
    return [...this.#threads.keys()];
  }

  /** The signal by which job control had stopped it (SIGSTOP, SIGTSTP, …); 0 when it ran. It stays stopped then. */
  get stopSignal(): number {
    return this.#stopSignal;
  }

  #listed(): number[] {
    return threadsOf(this.pid).filter((tid) => tid !== this.#ended);
  }

  #seize(tids: readonly number[]): number[] {
    const results = Buffer.alloc(tids.length * 4);
    call("cr_seize", packInts(tids), tids.length, results);
    return unpackInts(results).map((result, index) => {
      const tid = tids[index];
      if (result === 0 && tid !== undefined) this.#threads.set(tid, { state: "running", signal: 0 });
      return result;
    });
  }

  /**
   * Waits until every thread stands in a stop from which an interrupted system call is resumed by the kernel, those
   * included that were created meanwhile. Signals that come in between are delivered. Throws `NativeError` ETIMEDOUT
   * after `timeoutMs`, `UnexpectedStop` when the process ended, `MainThreadEnded`.
   */
  stop(timeoutMs: number): void {
    const deadline = performance.now() + timeoutMs;
    for (;;) {
      while (this.#running().length > 0) this.#collect(deadline);
      // Only a running thread makes new ones: once all known ones stand and no other is listed, the set is stable.
      const fresh = this.#listed().filter((tid) => !this.#threads.has(tid));
      if (fresh.length === 0) return;
      // A thread may have ended since it was listed (ESRCH), or be about to (EPERM).
      if (this.#seize(fresh).every((result) => result < 0) && performance.now() > deadline) throw timedOut();
    }
  }

  #running(): number[] {
    return this.tids.filter((tid) => this.#threads.get(tid)?.state === "running");
  }

  /** Takes one stop, or end, of each running thread. */
  #collect(deadline: number): void {
    const tids = this.#running();
    const statuses = Buffer.alloc(tids.length * 4);
    const leftMs = Math.max(0, Math.round(deadline - performance.now()));
    const late = call("cr_wait", packInts(tids), tids.length, statuses, Math.min(leftMs, PATIENCE_MS)) > 0;
    // What has stopped meanwhile is known before anything is thrown: it is to be let go.
    this.#note(tids, unpackInts(statuses));
    if (!late) return;
    // Its end is only told after that of all others (ptrace(2), "Death under ptrace").
    if (mainThreadHasEnded(this.pid)) throw new MainThreadEnded(this.pid);
    if (performance.now() > deadline) throw timedOut();
  }

  #note(tids: readonly number[], statuses: readonly number[]): void {
    let unexpected: Stop | null = null;
    tids.forEach((tid, index) => {
      const status = statuses[index] ?? 0;
      if (status === -ETIMEDOUT) return;
      unexpected =
        this.#noteOne(tid, status < 0 ? { kind: "exited", status: 0 } : decodeStatus(status)) ?? unexpected;
    });
    if (unexpected !== null) throw new UnexpectedStop(unexpected);
  }

  /** The stop when it ends the attempt; null when it does not. */
  #noteOne(tid: number, stop: Stop): Stop | null {
    const thread = this.#threads.get(tid);
    if (thread === undefined) return null;
    if (stop.kind === "exited" || stop.kind === "signaled") {
      this.#threads.delete(tid);
      return tid === this.pid || this.#threads.size === 0 ? stop : null;
    }
    thread.state = "stopped";
    if (stop.kind === "event" && stop.interrupt) return null;
    const jobStop = jobStopSignal(stop);
    if (jobStop !== 0) {
      this.#stopSignal = jobStop;
      return null;
    }
    if (stop.kind !== "stopped") return stop;
    // A signal got in first: it is delivered, and the interrupt still comes.
    thread.state = "running";
    call("cr_resume", tid, stop.signal);
    return null;
  }

  /** Says that remote calls of a thread ended in the delivery of a signal, which is to be handed on. */
  owe(tid: number, signal: number): void {
    const thread = this.#threads.get(tid);
    if (thread !== undefined) thread.signal = signal;
  }

  /** Replaces the general registers (216 bytes) of a thread. */
  setRegisters(tid: number, registers: Buffer): void {
    call("cr_set_registers", tid, registers, registers.length);
  }

  /** Lets it go stopped by SIGSTOP, for a debugger or a later `kill -CONT`. */
  releaseStopped(): void {
    sendSignal(this.pid, SIGSTOP);
    this.release();
  }

  /** Kills it in its stop, so that not one more instruction runs, and waits for its end. */
  kill(): void {
    sendSignal(this.pid, SIGKILL);
    reap(this.tids, KILL_WAIT_MS);
    this.#threads.clear();
  }

  /** Lets all threads go on. Does nothing the second time, or when it is gone. */
  release(): void {
    const stopped = [...this.#threads].filter(([, { state }]) => state === "stopped");
    const running = this.#running();
    this.#threads.clear();
    detach(
      stopped.map(([tid]) => tid),
      stopped.map(([, { signal }]) => signal),
    );
    for (const tid of running) releaseWhenStopped(tid);
  }

  [Symbol.dispose](): void {
    this.release();
  }
}

/** A running thread cannot be detached (ptrace(2)): it is as soon as its pending stop comes. */
function releaseWhenStopped(tid: number): void {
  const status = Buffer.alloc(4);
  tryCall("cr_wait", packInts([tid]), 1, status, 0);
  const got = status.readInt32LE();
  if (got === -ETIMEDOUT) setTimeout(releaseWhenStopped, 20, tid).unref();
  if (got < 0) return;
  const stop = decodeStatus(got);
  if (stop.kind !== "exited" && stop.kind !== "signaled") {
    detach([tid], [stop.kind === "stopped" ? stop.signal : 0]);
  }
}

function timedOut(): NativeError {
  return new NativeError("cr_wait", "ETIMEDOUT");
}
