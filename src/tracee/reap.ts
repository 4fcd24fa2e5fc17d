/** Taking leave of what was killed: tracees, and children of ours. */
import { tryCall } from "./native.js";
import { packInts } from "./tids.js";

/** Waits for the end of all, which is reaped, for so many ms at most; what is not ours to wait for is passed over. */
export function reap(tids: readonly number[], waitMs: number): void {
  tryCall("cr_wait", packInts(tids), tids.length, Buffer.alloc(tids.length * 4), waitMs);
}
