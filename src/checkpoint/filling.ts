/**
 * A program whose memory a lazy restore still brings (`cr restore --lazy`) is not saved before all of it is there: until
 * then a page server holds a userfaultfd of it. Tells that apart from a userfaultfd that a program has made itself.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { CrError } from "../errors.js";
import { pageServerOf } from "../tracee/page-server.js";
import { WATCHED_MEMORY } from "./mappings.js";
import { type Refusal, unsupportedState } from "./refusal.js";

const PAUSE_MS = 20;

/**
 * Runs `act` again for as long as it is refused for nothing but such memory, at most for `patienceMs`: then
 * UNSUPPORTED_STATE, which names the page server. Throws what `act` throws otherwise.
 */
export async function onceFilled<T>(pid: number, patienceMs: number, act: () => Promise<T>): Promise<T> {
  const deadline = performance.now() + patienceMs;
  for (let looked = false; ; looked = true) {
    try {
      return await act();
    } catch (error) {
      const watched = watchedOf(error);
      if (watched.length === 0) throw error;
      const server = watched.map((one) => pageServerOf(one.pid ?? pid)).find((found) => found !== null);
      // It may have become full between the look and the question.
      if (server === undefined && looked) throw error;
      if (server !== undefined && performance.now() > deadline) throw stillFilling(pid, server);
    }
    await sleep(PAUSE_MS);
  }
}

/** What it was refused for, where all of it is memory that a userfaultfd watches; else nothing. */
function watchedOf(error: unknown): readonly Refusal[] {
  if (!(error instanceof CrError) || error.code !== "UNSUPPORTED_STATE") return [];
  const refusals = (error.data?.refusals ?? []) as readonly Refusal[];
  return refusals.every(({ what }) => what === WATCHED_MEMORY) ? refusals : [];
}

function stillFilling(pid: number, server: number): CrError {
  const what = `memory that cr restore --lazy still brings (page server: process ${server})`;
  return unsupportedState(pid, [{ kind: "mapping", id: "", what }]);
}
