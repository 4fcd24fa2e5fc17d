/**
 * Copies of parts of a running process, two at a time: while the last of one are on their way to the disk the next has begun.
 * With a limit of bytes a second, or where threads are too few for two, one after the other.
 */
import type { Span } from "../tracee/range-list.js";
import type { MemoryFile } from "./memory-file.js";
import type { Pace } from "./pace.js";

/** Of which process, and where to. */
export interface CopyTarget {
  readonly pid: number;
  readonly file: MemoryFile;
  readonly pace: Pace;
}

export class CopyQueue implements Disposable {
  readonly #target: CopyTarget;
  readonly #half: Pace["runningHalf"];
  #going: ReturnType<MemoryFile["begin"]> | null = null;

  /** For so many parts: a lone one has all threads. */
  constructor(target: CopyTarget, parts: number) {
    this.#target = target;
    this.#half = parts > 1 ? target.pace.runningHalf : null;
  }

  /** Begins with one and waits for the one before. Throws `NativeError` of either. */
  add(spans: readonly Span[]): void {
    const { pid, file, pace } = this.#target;
    if (this.#half === null) file.copy(pid, spans, { ...pace.running, loose: true });
    else {
      using before = this.#going;
      this.#going = file.begin(pid, spans, { ...this.#half, loose: true });
      before?.end();
    }
    file.startWriting();
  }

  /** Waits for the last one. Throws as `add`. */
  end(): void {
    using last = this.#going;
    this.#going = null;
    last?.end();
    this.#target.file.startWriting();
  }

  [Symbol.dispose](): void {
    this.#going?.[Symbol.dispose]();
  }
}
