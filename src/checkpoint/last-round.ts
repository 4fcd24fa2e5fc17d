/** The last things before and after the stop of a process that is copied while it runs: flags of mappings, one more round. */
import { isErrno } from "../errors.js";
import type { Vma } from "../state/vma.js";
import { hasDirectDescriptor } from "../tracee/descriptors.js";
import { copying } from "./copy-out.js";
import { mappingsOf } from "./look.js";
import type { MemoryCopy } from "./memory-copy.js";
import type { Mode } from "./mode.js";
import type { OutputFile } from "./output.js";
import { attempt } from "./target.js";

/**
 * Reads the flags of mappings and makes up for the time that took; null when they are to be read in the stop. Undefined
 * when it cannot be copied while it runs after all.
 */
export function lastRound(to: {
  readonly pid: number;
  readonly memory: MemoryCopy;
  readonly output: OutputFile;
  readonly isExact: boolean;
  readonly mode: Mode;
}): Vma[] | null | undefined {
  if (to.isExact) return null;
  const known = attempt(to.pid, () => mappingsOf(to.pid));
  if (to.mode === "fork") return known;
  copying(to.pid, to.output, () => to.memory.round(known));
  if (!attempt(to.pid, () => hasDirectDescriptor(to.pid))) return known;
  to.memory.untrack();
  return undefined;
}

/** Mappings of a process that may have ended since it was let go: then nothing speaks against what was read before. */
export function mappingsLater(pid: number): Vma[] {
  try {
    return mappingsOf(pid);
  } catch (error) {
    if (isErrno(error, "ENOENT", "ESRCH")) return [];
    throw error;
  }
}
