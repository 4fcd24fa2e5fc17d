/** How long each part of a stop took, for who wants to know where the time goes. */

/** In ms: all threads stop; scan of what is left; its copy; look and questions; until it runs again. */
export interface StopPhases {
  readonly seize: number;
  readonly scan: number;
  readonly copy: number;
  readonly state: number;
  readonly resume: number;
}

export class Phases {
  readonly #begin = performance.now();
  readonly #ms = { seize: 0, scan: 0, copy: 0, state: 0, resume: 0 };
  #last = this.#begin;

  /** What has passed since the last call is this phase's. */
  end(phase: keyof StopPhases): void {
    const now = performance.now();
    this.#ms[phase] += now - this.#last;
    this.#last = now;
  }

  get ms(): StopPhases {
    return { ...this.#ms };
  }

  /** From the first to the last instant, in ms. */
  get totalMs(): number {
    return this.#last - this.#begin;
  }
}
