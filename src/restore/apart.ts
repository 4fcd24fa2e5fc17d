/** What a restore needs to know when it is made on behalf of a process in other surroundings. */
import type { Foreground, ForegroundChild } from "./foreground.js";

/** The hooks of the one on whose behalf it is made, who sees the program under another pid. */
export interface Apart {
  /** Told of the rebuilt program just before it is let go, and of the group of its tree that has the terminal; may throw. */
  readonly announce?: (pid: number, foreground?: number) => void;
  /** Takes over the duties of the foreground, `openForeground` when left out. */
  readonly attend?: (child: ForegroundChild) => Foreground;
  /** The caller's groups outside our user namespace, in which they have no names; null where they are ours. */
  readonly callerGroups?: readonly number[] | null;
}
