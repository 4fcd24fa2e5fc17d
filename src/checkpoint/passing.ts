/**
 * What cannot be saved now and can in a moment: bytes on their way through a terminal. The whole checkpoint is tried
 * again, with the program running on in between, before it is refused.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { CrError } from "../errors.js";
import type { Refusal } from "./refusal.js";

/** How long it is tried again, and the pauses in between, in ms: each a little longer. */
const PATIENCE_MS = 2000;
const PAUSE_MS = 3;

/** Runs `attempt` until it is refused for something that stays, or for too long: then throws what it threw last. */
export async function untilPassed<T>(attempt: () => T): Promise<T> {
  const deadline = performance.now() + PATIENCE_MS;
  for (let pauseMs = PAUSE_MS; ; pauseMs += PAUSE_MS) {
    try {
      return attempt();
    } catch (error) {
      if (!isPassing(error) || performance.now() + pauseMs > deadline) throw error;
    }
    await sleep(pauseMs);
  }
}

/** Refused for nothing but what passes. */
function isPassing(error: unknown): boolean {
  if (!(error instanceof CrError) || error.code !== "UNSUPPORTED_STATE") return false;
  const refusals = (error.data?.refusals ?? []) as readonly Refusal[];
  return refusals.length > 0 && refusals.every(({ passing }) => passing);
}
