/**
 * Brief stops for the tracking: it begins in one, and what the program maps later is taken up in one, too. Of a program that
 * runs only a part of a new mapping may be caught, which splits it: an mremap(2) of it as a whole would fail.
 */
import { Urgency } from "../host/urgency.js";
import { isNativeError } from "../tracee/native-error.js";
import { PageTracker } from "../tracee/page-tracker.js";
import { Pagemap } from "../tracee/pagemap.js";
import { readStatus } from "../tracee/proc-status.js";
import { RemoteInterrupted } from "../tracee/remote.js";
import type { Gadgets } from "../tracee/site.js";
import type { Tracee } from "../tracee/tracee.js";
import { changed, type FreezeOptions, freeze, type Stopped, seize } from "./freeze.js";
import { rememberRestart } from "./restarted-calls.js";
import { isTracked } from "./spans.js";
import { attempt } from "./target.js";
import { findWorkplace } from "./workplace.js";

/** What is to be stopped, and the instructions for remote calls that were found in it. */
interface Subject {
  readonly pid: number;
  readonly gadgets: Gadgets | null;
  readonly freezing: FreezeOptions;
}

/** Stops a process for as long as something takes. */
export type Standing = <T>(act: () => T) => T;

/** Stops the process for as long as `act` takes. Throws what freezing throws, and `act`. */
export function whileItStands<T>(
  { pid, freezing }: Pick<Subject, "pid" | "freezing">,
  act: (tracee: Tracee, threads: Stopped["threads"]) => T,
): T {
  using _urgency = Urgency.begin();
  using tracee = seize(pid);
  const { threads, restarting } = freeze(tracee, freezing);
  try {
    return act(tracee, threads);
  } finally {
    for (const call of restarting) rememberRestart(call.tid, call, freezing.ledger);
  }
}

/** A brief stop in which the process, with all it has mapped, is given to the tracker; null where that cannot be. */
export function startTracking(subject: Subject): PageTracker | null {
  const { pid, gadgets } = subject;
  const areMarked = attempt(pid, () => hasMarks(pid));
  return whileItStands(subject, (tracee, threads) => {
    const filtered = [...threads.keys()].some(
      (tid) => attempt(pid, () => readStatus(pid, tid)).get("Seccomp") !== "0",
    );
    const main = threads.get(pid);
    try {
      const work = main && !filtered ? findWorkplace(pid, threads, gadgets) : null;
      return main && work ? PageTracker.start(work, main, { isMeant: isTracked, areMarked }) : null;
    } catch (error) {
      return giveUp(tracee, error);
    }
  });
}

/** Whether an earlier tracking has left marks. None come while it runs: so the stop need not look. */
function hasMarks(pid: number): boolean {
  using pagemap = new Pagemap(pid);
  return pagemap.pages("marked").length > 0;
}

/** A process that is gone is an error; one that cannot be asked is stopped for all of the copy instead. */
function giveUp(tracee: Tracee, error: unknown): null {
  if (isNativeError(error, "ESRCH")) throw changed(tracee.pid, error);
  if (error instanceof RemoteInterrupted) {
    tracee.owe(tracee.pid, error.signal);
    return null;
  }
  if (isNativeError(error)) return null;
  throw error;
}
