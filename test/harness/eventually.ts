/** Waiting for what happens outside the test's own process: ask again until it is so, or say what was missing. */
import { setTimeout as sleep } from "node:timers/promises";

export { sleep };

export interface Patience {
  /** How long to ask, in ms. */
  readonly timeoutMs?: number;
  /** Pause between two questions, in ms. */
  readonly everyMs?: number;
}

/** The first answer of `ask` that is neither undefined, null nor false; throws naming `what` when time is up. */
export async function eventually<T>(
  what: string | (() => string),
  ask: () => T | undefined | null | false,
  { timeoutMs = 20_000, everyMs = 10 }: Patience = {},
): Promise<T> {
  for (const deadline = Date.now() + timeoutMs; ; await sleep(everyMs)) {
    const answer = ask();
    if (answer !== undefined && answer !== null && answer !== false) return answer;
    if (Date.now() > deadline) {
      throw new Error(`after ${timeoutMs} ms still not so: ${typeof what === "string" ? what : what()}`);
    }
  }
}
