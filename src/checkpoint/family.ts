/**
 * Stops a process with all its descendants as one: seizes and stops whoever is there and looks again until nobody new
 * is found. Only one that runs can make another, so the set is then stable, short-lived children included.
 */
import { sendSignal } from "../tracee/kill.js";
import { familyOf, hasEnded, type Relative, sharesMemory } from "../tracee/kin.js";
import { NativeError } from "../tracee/native.js";
import { isNativeError } from "../tracee/native-error.js";
import { mainThreadHasEnded } from "../tracee/tasks.js";
import { Tracee, UnexpectedStop } from "../tracee/tracee.js";
import { freezeFailed, seizeFailed } from "./freeze.js";

/** How long one member is waited for before it is asked whether it can stop at all, in ms. */
const SLICE_MS = 20;
/** How long a child whose main thread has ended may take to end as a whole, in ms. */
const GRACE_MS = 500;
const SIGKILL = 9;

export class Family {
  readonly #root: number;
  /** Seized, in the order in which they were found. */
  readonly #tracees = new Map<number, Tracee>();
  readonly #graceEnds = performance.now() + GRACE_MS;
  #relatives: readonly Relative[] = [];

  private constructor(root: number) {
    this.#root = root;
  }

  /** Seizes and interrupts the root and all there are now. Throws as `seize` of freeze.ts. */
  static seize(root: number): Family {
    const family = new Family(root);
    try {
      const tracee = family.#seize(root);
      if (tracee === null) throw seizeFailed(root, new Error("it ended"));
      for (const { pid } of familyOf(root).filter(({ isDead }) => !isDead)) family.#seize(pid);
      return family;
    } catch (error) {
      family.release();
      throw error;
    }
  }

  /** All members, the dead among them, parents before their children. */
  get relatives(): readonly Relative[] {
    return this.#relatives;
  }

  /** Those that live, in the order of `relatives`. */
  get tracees(): readonly Tracee[] {
    return this.#relatives.flatMap(({ pid }) => this.#tracees.get(pid) ?? []);
  }

  /** Null when it has ended by now. */
  #seize(pid: number): Tracee | null {
    const known = this.#tracees.get(pid);
    if (known !== undefined) return known;
    try {
      const tracee = Tracee.seize(pid);
      this.#tracees.set(pid, tracee);
      return tracee;
    } catch (error) {
      if (!isNativeError(error, "EPERM", "ESRCH", "EIO")) throw error;
      if (pid !== this.#root && this.#isEnding(pid)) return null;
      throw seizeFailed(pid, error);
    }
  }

  #isEnding(pid: number): boolean {
    return hasEnded(pid) || (mainThreadHasEnded(pid) && performance.now() < this.#graceEnds);
  }

  /**
   * Returns when all stand and nobody else is there. Throws FREEZE_TIMEOUT, TARGET_CHANGED when the root ended, and
   * what is thrown for a member that may not be traced.
   */
  stop(timeoutMs: number): void {
    const deadline = performance.now() + timeoutMs;
    const stopped = new Set<number>();
    for (;;) {
      const late = [...this.#tracees.values()].filter(
        (tracee) => !stopped.has(tracee.pid) && !this.#stopOne(tracee, { stopped, timeoutMs }),
      );
      const [first] = late;
      if (first !== undefined) {
        if (performance.now() > deadline) throw this.#timedOut(first.pid, timeoutMs);
        for (const { pid } of late) this.#letChildGoOn(pid, stopped);
        continue;
      }
      this.#relatives = familyOf(this.#root);
      const fresh = this.#relatives.filter(({ pid, isDead }) => !isDead && !this.#tracees.has(pid));
      if (fresh.length === 0) break;
      if (performance.now() > deadline) throw this.#timedOut(fresh[0]?.pid ?? this.#root, timeoutMs);
      for (const { pid } of fresh) this.#seize(pid);
    }
    this.#letStrangersGo();
  }

  /** True when it stands, or is no more; false when it needs more time. */
  #stopOne(tracee: Tracee, at: { readonly stopped: Set<number>; readonly timeoutMs: number }): boolean {
    const { pid } = tracee;
    try {
      tracee.stop(SLICE_MS);
      at.stopped.add(pid);
      return true;
    } catch (error) {
      if (isNativeError(error, "ETIMEDOUT")) return false;
      const ended = error instanceof UnexpectedStop || isNativeError(error, "ESRCH", "ECHILD");
      if (!ended || pid === this.#root || !hasEnded(pid)) throw freezeFailed(pid, error, at.timeoutMs);
      this.#drop(tracee);
      return true;
    }
  }

  /** A process in vfork(2) stops only once its child has its own memory or has ended: the child may go on for that. */
  #letChildGoOn(parent: number, stopped: Set<number>): void {
    for (const { pid, parent: its } of familyOf(this.#root)) {
      const tracee = this.#tracees.get(pid);
      if (its !== parent || tracee === undefined || !stopped.has(pid) || !sharesMemory(parent, pid)) continue;
      this.#drop(tracee);
      stopped.delete(pid);
    }
  }

  #drop(tracee: Tracee): void {
    this.#tracees.delete(tracee.pid);
    tracee.release();
  }

  /** Whose parent ended meanwhile, and is now the child of a process outside. */
  #letStrangersGo(): void {
    const kin = new Set(this.#relatives.map(({ pid }) => pid));
    for (const tracee of [...this.#tracees.values()]) if (!kin.has(tracee.pid)) this.#drop(tracee);
  }

  #timedOut(pid: number, timeoutMs: number): unknown {
    return freezeFailed(pid, new NativeError("cr_wait", "ETIMEDOUT"), timeoutMs);
  }

  /** Lets all go on, each once. */
  release(): void {
    for (const tracee of this.#tracees.values()) tracee.release();
  }

  /** Lets all go on stopped by SIGSTOP, parents first: none sees its child stopped before it is itself. */
  releaseStopped(): void {
    for (const tracee of this.tracees) tracee.releaseStopped();
  }

  /** Kills all in their stops; not one more instruction of any runs. */
  kill(): void {
    for (const tracee of this.tracees) sendSignal(tracee.pid, SIGKILL);
    // Process 1 of a pid namespace ends when all others in there have.
    for (const tracee of this.tracees.toReversed()) tracee.kill();
  }

  [Symbol.dispose](): void {
    this.release();
  }
}
