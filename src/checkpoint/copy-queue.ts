/**
 * Copies of parts of a running process, two at a time: while the last of one are on their way to the disk the next has begun.
 * With a limit of bytes a second, or where threads are too few for two, one after the other.
 */
import type { Span } from "../tracee/range-list.js";
import type { MemoryFile } from "./memory-file.js";
import type { Pace } from "./pace.js";

export class CopyQueue implements Disposable {
  readonly #pid: number;
  readonly #file: MemoryFile;
  readonly #pace: Pace;
  #going: ReturnType<MemoryFile["begin"]> | null = null;

  constructor(pid: number, file: MemoryFile, pace: Pace) {
    this.#pid = pid;
    this.#file = file;
    this.#pace = pace;
  }

  /** Begins with one and waits for the one before. Throws `NativeError` of either. */
  add(spans: readonly Span[]): void {
    const half = this.#pace.runningHalf;
    if (half === null) this.#file.copy(this.#pid, spans, { ...this.#pace.running, loose: true });
    else {
      using before = this.#going;
      this.#going = this.#file.begin(this.#pid, spans, { ...half, loose: true });
      before?.end();
    }
    this.#file.startWriting();
  }

  /** Waits for the last one. Throws as `add`. */
  end(): void {
    using last = this.#going;
    this.#going = null;
    last?.end();
    this.#file.startWriting();
  }

  [Symbol.dispose](): void {
    this.#going?.[Symbol.dispose]();
  }
}
