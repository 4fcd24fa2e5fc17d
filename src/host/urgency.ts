/**
 * While a program stands still it waits for cr: other programs and cr's own housekeeping must not come first. Without
 * the right to (CAP_SYS_NICE) cr takes its turn like everybody. V8 compiles no function to be quicker next time.
 */
import { constants, getPriority, setPriority } from "node:os";
import { getHeapStatistics, setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

/** V8's collector, which has no other way in than a flag that adds a function to new contexts. */
let collect: ((options: { readonly type: "minor" | "major" }) => void) | null = null;

/** Grown by less than this since all was collected, V8 was not seen to begin with that by itself; all of it takes milliseconds. */
const GROWN_BYTES = 12 << 20;
let collectedBytes = 0;

/**
 * Does now what would interrupt the stop, in tens of milliseconds at worst: V8's collection of garbage. Once much has come up,
 * it begins with a collection of all, in steps beside the program, and ends it whenever that is done. `onlyMuch`: that alone.
 */
export function collectGarbage({ onlyMuch = false } = {}): void {
  if (collect === null) {
    setFlagsFromString("--expose-gc");
    collect = runInNewContext("gc") as NonNullable<typeof collect>;
    setFlagsFromString("--no-expose-gc");
  }
  const isMuch = heldBytes() - collectedBytes >= GROWN_BYTES;
  if (isMuch || !onlyMuch) collect({ type: isMuch ? "major" : "minor" });
  if (isMuch) collectedBytes = heldBytes();
}

/** With what buffers hold, which V8 counts, too. */
function heldBytes(): number {
  const { used_heap_size, external_memory } = getHeapStatistics();
  return used_heap_size + external_memory;
}

/** The calling thread, and threads that it starts meanwhile, before all others; until `end`, or the end of its scope. */
export class Urgency {
  #before: number | null;

  private constructor(before: number | null) {
    this.#before = before;
  }

  static begin(): Urgency {
    const before = getPriority(0);
    setFlagsFromString("--no-sparkplug");
    return new Urgency(trySet(constants.priority.PRIORITY_HIGHEST) ? before : null);
  }

  end(): void {
    if (this.#before !== null) trySet(this.#before);
    this.#before = null;
    setFlagsFromString("--sparkplug");
  }

  [Symbol.dispose](): void {
    this.end();
  }
}

function trySet(priority: number): boolean {
  try {
    setPriority(0, priority);
    return true;
  } catch (error) {
    const { code } = (error as { info?: { code?: string } }).info ?? {};
    if (code === "EACCES" || code === "EPERM") return false;
    throw error;
  }
}
