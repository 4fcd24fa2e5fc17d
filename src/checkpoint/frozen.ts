/** A stopped process with what has been read of it from outside: registers of its threads, and a look. */
import type { Gadgets } from "../tracee/site.js";
import type { ThreadRegisters } from "../tracee/thread.js";
import type { Tracee } from "../tracee/tracee.js";
import type { Policies } from "./asked-policies.js";
import type { Look } from "./look.js";

/** What is known from outside before the interior is asked. */
export interface Frozen {
  readonly tracee: Tracee;
  /** Every thread's registers by tid, the main thread first. */
  readonly threads: ReadonlyMap<number, ThreadRegisters>;
  readonly look: Look;
  /** Instructions found before the stop; searched again when they moved. */
  readonly gadgets: Gadgets | null;
  /** Policies of its mappings, read before the stop; null where it is to be asked. */
  readonly policies: Policies | null;
}
