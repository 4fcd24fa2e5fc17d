/**
 * What a core may build on, handed to the copy of a process before it begins: what the last checkpoint left (lineage.ts), as a
 * clone of its core where the file system can (clone.ts), or an earlier core that is asked for by name (parent-core.ts).
 */
import { CrError } from "../errors.js";
import { STREAM } from "./bundle.js";
import { cloneLast } from "./clone.js";
import { copying } from "./copy-out.js";
import type { Lineage } from "./lineage.js";
import { isSmall } from "./live.js";
import type { Look } from "./look.js";
import type { MemoryCopy } from "./memory-copy.js";
import type { ModeOptions } from "./mode.js";
import type { OutputFile } from "./output.js";
import type { Child, ParentCore } from "./parent-core.js";

export interface LendOptions extends ModeOptions {
  /** Store what private mappings show of their files, too. */
  readonly selfContained?: boolean;
  readonly lineage?: Lineage;
  readonly compress?: number | null;
  /** An earlier core to build on, and what opens it. */
  readonly parent?: string;
  readonly openParent?: (path: string, child: Child) => ParentCore;
}

export interface Borrower {
  readonly pid: number;
  readonly look: Look;
  readonly isTree: boolean;
  readonly output: OutputFile;
}

/** Hands it over; the copy owns it then, but for the parent. Throws as `openParent`, UNSUPPORTED_STATE, OUTPUT_FAILED. */
export function lend(memory: MemoryCopy, borrower: Borrower, options: LendOptions): void {
  const { pid, look, isTree, output } = borrower;
  const { lineage, parent, openParent, mode } = options;
  const { stat, auxv } = look.facts;
  const { startTicks } = stat;
  memory.isSelfContained = options.selfContained ?? false;
  if (parent !== undefined && openParent !== undefined) {
    if (isTree) throw noTree(pid, parent);
    memory.parent = openParent(parent, { pid, startTicks, output: output.path });
  }
  const wants = mode === undefined ? !isSmall(look) : mode === "live";
  if (isTree || !wants || output.path === STREAM || parent !== undefined) {
    lineage?.[Symbol.dispose]();
    return;
  }
  if (lineage === undefined) return;
  const kept = lineage.take({ pid, startTicks, auxv }, output.path);
  memory.keepTracking(kept, null);
  if (kept === null || (options.compress ?? null) !== null) return;
  const cloned = copying(pid, output, () => cloneLast(kept, output.fd));
  if (cloned !== null) memory.keepTracking(kept, cloned);
}

/** The core of a member of a tree builds on no other. */
function noTree(pid: number, parent: string): CrError {
  const message = `cannot build on ${parent}: process ${pid} has children, a lone process is required`;
  return new CrError("UNSUPPORTED_STATE", message, { hint: "leave out --parent to write whole cores" });
}
