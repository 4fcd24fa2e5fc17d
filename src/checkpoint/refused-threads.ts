/** Threads that have for themselves what threads mostly share: nobody could give it back to one of them alone. */
import { threadDifferences } from "../tracee/thread-differences.js";
import type { Refusal } from "./refusal.js";

const WHAT = {
  descriptors: "a thread with descriptors of its own (unshare)",
  folder: "a thread with a working folder or umask of its own (unshare)",
} as const;

/** One for each thread and difference. */
export function refusedThreads(pid: number): Refusal[] {
  return threadDifferences(pid).map(({ tid, what }) => ({ kind: "thread", id: `${tid}`, what: WHAT[what] }));
}
