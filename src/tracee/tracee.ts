/**
 * A process under our ptrace: seized without a signal, stopped, let go. Whatever happens, `release()` (also by
 * `using`) lets it go on; should cr die, the kernel does. PTRACE_O_EXITKILL is never set on it.
 */
import { sendSignal } from "./kill.js";
import { call, tryCall } from "./native.js";
import { decodeStatus, type Stop } from "./stop.js";

const SIGKILL = 9;
const SIGSTOP = 19;
const ETIMEDOUT = 110;
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

export class Tracee {
  readonly pid: number;
  #state: "running" | "stopped" | "gone" = "running";
  /** A signal whose delivery we interrupted; handed on when the process is let go. */
  #signal = 0;

  private constructor(pid: number) {
    this.pid = pid;
  }

  /** Attaches to a running process (PTRACE_SEIZE); it goes on running. Throws `NativeError` (EPERM, ESRCH). */
  static seize(pid: number): Tracee {
    call("cr_seize", pid);
    return new Tracee(pid);
  }

  /**
   * Stops it (PTRACE_INTERRUPT) in a stop from which an interrupted system call is resumed by the kernel.
   * Signals that come in between are delivered. Throws `NativeError` ETIMEDOUT after `timeoutMs`, `UnexpectedStop`
   * when it ended or job control stopped it.
   */
  stop(timeoutMs: number): void {
    call("cr_interrupt", this.pid);
    const deadline = performance.now() + timeoutMs;
    for (;;) {
      const leftMs = Math.max(0, Math.round(deadline - performance.now()));
      const stop = decodeStatus(call("cr_wait", this.pid, leftMs));
      if (stop.kind === "exited" || stop.kind === "signaled") this.#state = "gone";
      else this.#state = "stopped";
      if (stop.kind === "event" && stop.interrupt) return;
      if (stop.kind !== "stopped") throw new UnexpectedStop(stop);
      // A signal got in first: it is delivered, and the interrupt still comes.
      this.#state = "running";
      call("cr_resume", this.pid, stop.signal);
    }
  }

  /** Says that remote calls ended in the delivery of a signal, which is to be handed on. */
  owe(signal: number): void {
    this.#signal = signal;
  }

  /** Replaces the general registers (216 bytes). */
  setRegisters(registers: Buffer): void {
    call("cr_set_registers", this.pid, registers, registers.length);
  }

  /** Lets it go stopped by SIGSTOP, for a debugger or a later `kill -CONT`. */
  releaseStopped(): void {
    sendSignal(this.pid, SIGSTOP);
    this.release();
  }

  /** Kills it in its stop, so that not one more instruction runs, and waits for its end. */
  kill(): void {
    sendSignal(this.pid, SIGKILL);
    tryCall("cr_wait", this.pid, KILL_WAIT_MS);
    this.#state = "gone";
  }

  /** Lets it go on. Does nothing the second time, or when it is gone. */
  release(): void {
    if (this.#state === "stopped") detach(this.pid, this.#signal);
    else if (this.#state === "running") this.#releaseWhenStopped();
    this.#state = "gone";
  }

  /** A running tracee cannot be detached (ptrace(2)): it is as soon as a pending stop comes. */
  #releaseWhenStopped(): void {
    const { pid } = this;
    const attempt = (): void => {
      const status = tryCall("cr_wait", pid, 0);
      if (status === -ETIMEDOUT) setTimeout(attempt, 20).unref();
      if (status < 0) return;
      const stop = decodeStatus(status);
      if (stop.kind !== "exited" && stop.kind !== "signaled")
        detach(pid, stop.kind === "stopped" ? stop.signal : 0);
    };
    tryCall("cr_interrupt", pid);
    attempt();
  }

  [Symbol.dispose](): void {
    this.release();
  }
}

/** Lets a stopped tracee go. One that was killed meanwhile is reaped instead, or its parent would wait for us. */
function detach(pid: number, signal: number): void {
  if (tryCall("cr_detach", pid, signal) < 0) tryCall("cr_wait", pid, KILL_WAIT_MS);
}
