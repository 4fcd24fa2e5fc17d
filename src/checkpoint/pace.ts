/**
 * How much of the machine a checkpoint takes, and how long it may stop the program: threads, bytes a second while the
 * program runs (`--limit`), and the longest stop (`--max-stop`), which is held while it lasts, too. The limit never
 * makes a stop longer.
 */
import { availableParallelism } from "node:os";
import { CrError } from "../errors.js";
import { pause } from "../host/pause.js";
import type { CopyManner } from "../tracee/memory.js";
import { STASH_MS_A_MIB } from "./convergence.js";
import { Phases } from "./phases.js";

export interface PaceOptions {
  /** Threads that copy and compress; default: one a CPU, up to 4. */
  readonly threads?: number;
  /** Write at most so many bytes a second while the program runs; default: no limit. */
  readonly limitBytesPerS?: number;
  /** Refuse when the program would have to stand still for longer, in ms. */
  readonly maxStopMs?: number;
}

/** The copying is CPU work: no more threads than CPUs. */
const THREADS = Math.min(4, availableParallelism());
/** Unless so many were asked for: who writes past the page cache waits for the disk more than it works. */
const DISK_THREADS = 4 * THREADS;
/** With a limit the copy goes on so often. */
const PARTS_A_SECOND = 20;
/** What is copied in a stop between two looks at the clock, in bytes. */
const STOP_PART_BYTES = 16 << 20;
const MIB = 1 << 20;

export class Pace {
  readonly #threads: number;
  readonly #diskThreads: number;
  readonly #limit: number | undefined;
  readonly #maxStopMs: number | undefined;
  readonly #pid: number;
  readonly #goesOn: boolean;
  /** When the next part may be written. */
  #nextAt = 0;
  #stoppedAt = 0;

  /** `goesOn`: the program runs again when it has been copied. */
  constructor(options: PaceOptions & { readonly pid?: number; readonly goesOn?: boolean } = {}) {
    const { threads = THREADS, limitBytesPerS, maxStopMs, pid = 0, goesOn = true } = options;
    this.#threads = threads;
    this.#diskThreads = options.threads ?? DISK_THREADS;
    this.#limit = limitBytesPerS;
    this.#maxStopMs = maxStopMs;
    this.#pid = pid;
    this.#goesOn = goesOn;
  }

  /** While the program runs, before its stop. */
  get running(): CopyManner {
    const manner = this.#gently(1);
    const limit = this.#limit;
    if (limit === undefined) return manner;
    return { ...manner, partBytes: limit / PARTS_A_SECOND, before: (bytes) => this.#wait(bytes, limit) };
  }

  /** The same for one of two copies at a time; null where that cannot be. */
  get runningHalf(): CopyManner | null {
    const half = this.#gently(2);
    return half.threads > 0 && half.diskThreads > 0 && this.#limit === undefined ? half : null;
  }

  /** For one of so many copies at a time. */
  #gently(copies: number) {
    const share = (threads: number) => Math.floor(threads / copies);
    return { threads: share(this.#threads), diskThreads: share(this.#diskThreads), gently: true };
  }

  /** While it stands. Throws STOP_TOO_LONG. */
  get standing(): CopyManner {
    if (this.#maxStopMs === undefined) return { threads: this.#threads };
    const before = (_bytes: number, leftBytes: number) => this.requireTime(leftBytes);
    return { threads: this.#threads, partBytes: STOP_PART_BYTES, before };
  }

  /** After the stop: it runs again, or is waiting for its end. */
  get later(): CopyManner {
    return this.#goesOn ? this.running : { threads: this.#threads };
  }

  /** The program is stopped from now on: where the time of the stop goes. */
  stops(): Phases {
    this.#stoppedAt = performance.now();
    return new Phases();
  }

  /** Throws STOP_TOO_LONG when the stop has lasted for as long as it may; `leftBytes` are still to be copied. */
  requireTime(leftBytes = 0): void {
    const stoodMs = performance.now() - this.#stoppedAt;
    if (this.#maxStopMs === undefined || stoodMs <= this.#maxStopMs) return;
    const expectedMs = Math.ceil(stoodMs + (leftBytes / MIB) * STASH_MS_A_MIB);
    throw new CrError(
      "STOP_TOO_LONG",
      `cannot checkpoint process ${this.#pid}: it has stood still for ${Math.ceil(stoodMs)} ms and would for about ` +
        `${expectedMs} ms, allowed are ${this.#maxStopMs} ms; it goes on`,
      {
        hint: `try when the machine is less busy, or allow more: --max-stop ${Math.ceil(expectedMs * 1.5)}ms`,
      },
    );
  }

  /** Holds the average: a part is written no sooner than the ones before it have had their time. */
  #wait(bytes: number, limit: number): void {
    const now = performance.now();
    if (this.#nextAt > now) pause(this.#nextAt - now);
    this.#nextAt = Math.max(now, this.#nextAt) + (bytes / limit) * 1000;
  }
}
