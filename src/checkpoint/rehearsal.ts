/**
 * What is done in the stop, done before on the running process, for what that leaves behind: code that V8 has run once is
 * ready to be run again, and caches of the CPU and the kernel hold what is asked for.
 */
import { CrError } from "../errors.js";
import { membershipOf } from "../host/cgroup-membership.js";
import { hostClocks, readTimeOffsets } from "../tracee/clocks.js";
import { familyOf } from "../tracee/kin.js";
import { isNativeError } from "../tracee/native-error.js";
import { Pagemap } from "../tracee/pagemap.js";
import { credentialsOf } from "../tracee/proc-status.js";
import { threadName } from "../tracee/tasks.js";
import { readScheduling } from "../tracee/thread.js";
import { lookAtTree, type Memory } from "./look.js";
import { planPages } from "./pages.js";
import { spacesOf } from "./spaces.js";
import { isTracked } from "./spans.js";

/**
 * Looks at a tree as in the stop (checkpoint.ts, capture.ts), with what is known of its mappings. What it finds is of no
 * matter, nor that a member ends meanwhile.
 */
export function rehearse(root: number, memory: Memory): void {
  try {
    const relatives = familyOf(root);
    const { looks } = lookAtTree(relatives, memory);
    spacesOf(relatives);
    hostClocks();
    for (const [pid, { facts }] of looks) {
      using pagemap = new Pagemap(pid);
      const rest = facts.vmas.filter((vma) => !isTracked(vma));
      planPages(pid, rest, { spansOf: pagemap.spansApart.bind(pagemap) });
      membershipOf(pid);
      readTimeOffsets(pid);
      credentialsOf(facts.status, 0);
      threadName(pid, pid);
      readScheduling(pid);
    }
  } catch (error) {
    const isItsDoing =
      error instanceof CrError || isNativeError(error) || (error as { code?: unknown }).code !== undefined;
    if (!isItsDoing) throw error;
  }
}
