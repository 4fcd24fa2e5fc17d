/**
 * The ids that a process in a pid namespace of its own has for itself: these are what it remembers and gets back, so
 * these are recorded, and of those that cr sees only the pid.
 */
import type { ProcessState } from "../state/process.js";
import { innerGroups, innerPid } from "../tracee/pid-namespace.js";
import type { ProcessFacts } from "../tracee/process-facts.js";
import { threadsOf } from "../tracee/tasks.js";

/** Puts inner ids for outer ones; the state of a process in our own namespace stays as it is. */
export function withInnerIds<T extends Pick<ProcessState, "process" | "threads" | "timers" | "files">>(
  state: T,
  facts: Pick<ProcessFacts, "status">,
): T {
  const { pid } = state.process;
  const inner = innerPid(pid);
  if (inner === pid) return state;
  const ids = new Map(threadsOf(pid).map((tid) => [tid, innerPid(pid, tid)]));
  const idOf = (id: number) => ids.get(id) ?? id;
  const { process, threads, timers, files } = state;
  return {
    ...state,
    process: { ...process, ...innerGroups(facts.status), pid: inner, ppid: 1, hostPid: pid },
    threads: threads.map((thread) => ({ ...thread, tid: idOf(thread.tid) })),
    timers: {
      ...timers,
      posix: timers.posix.map((timer) => ({ ...timer, tid: timer.tid === null ? null : idOf(timer.tid) })),
    },
    files: {
      ...files,
      descriptions: files.descriptions.map((one) =>
        one.owner === null ? one : { ...one, owner: { ...one.owner, id: idOf(one.owner.id) } },
      ),
    },
  };
}
