/**
 * Letting stopped threads go. One that is killed before its turn comes, since a thread that was let go just before it has
 * ended the whole process, cannot be detached: it is reaped instead, or the end of its process would never be told.
 */
import { tryCall } from "./native.js";
import { reap } from "./reap.js";
import { packInts, unpackInts } from "./tids.js";

const KILL_WAIT_MS = 10_000;

/**
 * PTRACE_DETACH of all, one right after the other, each with its signal (0 for none). The ends of our own `children` among
 * them are left for whoever waits for those.
 */
export function detach(
  tids: readonly number[],
  signals: readonly number[],
  children: readonly number[] = [],
): void {
  if (tids.length === 0) return;
  const results = packInts(signals);
  if (tryCall("cr_detach", packInts(tids), tids.length, results) === tids.length) return;
  const failed = unpackInts(results);
  const killed = tids.filter((tid, index) => failed[index] !== 0 && !children.includes(tid));
  reap(killed, KILL_WAIT_MS);
}
