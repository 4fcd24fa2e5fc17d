/** What hangs on an open file description besides its offset: who gets its signals, and locks. */
import type { Lock, Owner } from "../state/kernel-object.js";
import type { OpenDescriptor } from "../tracee/descriptors.js";
import { signalOwner } from "../tracee/fd-control.js";
import { locksOf } from "../tracee/fdinfo.js";
import { threadsOf } from "../tracee/tasks.js";

const O_ASYNC = 0o20000;
const F_OWNER_TID = 0;

interface Status<T> {
  readonly kept: T;
  readonly refusals: readonly string[];
}

/**
 * The owner for signals. Asked only where one has an effect: signal-driven I/O (O_ASYNC), urgent data of sockets,
 * and leases. It must be one of the processes `pids`, or a thread of one.
 */
export function ownerOfDescription(
  pid: number,
  one: OpenDescriptor,
  pids: readonly number[],
): Status<Owner | null> {
  const matters = (one.flags & O_ASYNC) !== 0 || one.stat.isSocket() || one.locks > 0;
  const owner = matters ? signalOwner(pid, one.fd) : null;
  if (owner === null || owner.id === 0 || pids.includes(owner.id)) return { kept: owner, refusals: [] };
  const isThread = owner.type === F_OWNER_TID && pids.some((each) => threadsOf(each).includes(owner.id));
  if (isThread) return { kept: owner, refusals: [] };
  return { kept: null, refusals: [`signals of ${one.link} that go to process ${owner.id} (F_SETOWN)`] };
}

/** The locks held through it. */
export function locksOfDescription(one: OpenDescriptor): Status<Lock[]> {
  const locks = locksOf(one.info);
  const kept = locks.flatMap(({ how, type, start, end }) =>
    how === "other" || type === "other" ? [] : [{ how, type, start, end }],
  );
  const missing = kept.length < locks.length || kept.length < one.locks;
  return {
    kept,
    refusals: missing ? [`a lock on ${one.link} of an unknown kind or one that is being broken`] : [],
  };
}
