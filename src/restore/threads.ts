/** The threads of a program: made by the newborn with their recorded ids, each then puts back what is its own. */

import { CrError } from "../errors.js";
import { nowMs } from "../host/monotonic.js";
import { pause } from "../host/pause.js";
import type { ThreadState } from "../state/thread.js";
import { NativeError } from "../tracee/native.js";
import type { RemoteCall } from "../tracee/remote.js";
import { maskOf } from "../tracee/thread.js";
import { Arguments } from "./arguments.js";
import { clone3 } from "./clone3.js";
import { signalOf } from "./settings.js";
import { spawnFailed } from "./spawn.js";
import type { Workshop } from "./workshop.js";

/** CLONE_VM, FS, FILES, SIGHAND, THREAD, SYSVSEM (clone(2)): what makes a thread. */
const THREAD_FLAGS = 0x100n | 0x200n | 0x400n | 0x800n | 0x1_0000n | 0x4_0000n;
/** How long a number that was just taken is waited for. */
const TAKEN_MS = 3_000;
const POLL_MS = 20;
const PR_SET_NAME = 15;
const PR_SET_TIMERSLACK = 29;
const SCHED_ATTR_BYTES = 48n;
const SCHED_OTHER = 0;
const IOPRIO_WHO_PROCESS = 1;
const SS_ONSTACK = 1;

/** Makes the threads besides the main one. They stand, with all signals blocked like their maker. */
export function makeThreads(workshop: Workshop, threads: readonly ThreadState[]): void {
  for (const { tid } of threads.slice(1)) {
    const args = new Arguments(workshop.data);
    const call = clone3(args, { flags: THREAD_FLAGS, ids: workshop.newborn.numbersFor(tid) });
    whenFree(tid, () => workshop.run("make its threads", [call], args.bytes()));
    workshop.newborn.adopt(tid);
  }
}

/** All numbers were free a moment ago: what has one now is mostly gone again soon. */
function whenFree(tid: number, make: () => void): void {
  for (const deadline = nowMs() + TAKEN_MS; ; ) {
    try {
      make();
      return;
    } catch (error) {
      if (!(error instanceof CrError) || error.data?.errno !== "EEXIST") throw error;
      if (nowMs() < deadline) pause(POLL_MS);
      else throw spawnFailed(new NativeError("cr_remote", "EEXIST"), "a thread of it", tid);
    }
  }
}

/** Name, scheduling and affinity of one thread. */
export function putScheduling(workshop: Workshop, thread: ThreadState, affinity: readonly number[]): void {
  const { policy, flags, nice, priority, runtimeNs, deadlineNs, periodNs, ioprio, timerSlackNs } =
    thread.scheduling;
  const args = new Arguments(workshop.data);
  const low = (value: number) => BigInt(value >>> 0);
  // Other policies than the ordinary one keep the nice value but do not take it: it is set first.
  const ordinary = args.words(SCHED_ATTR_BYTES, 0n, low(nice), 0n, 0n, 0n);
  const attr = args.words(
    SCHED_ATTR_BYTES | (low(policy) << 32n),
    flags,
    low(nice) | (low(priority) << 32n),
    ...(policy === SCHED_OTHER ? [0n, 0n, 0n] : [runtimeNs, deadlineNs, periodNs]),
  );
  const mask = maskOf(affinity);
  const calls: RemoteCall[] = [
    { name: "prctl", args: [PR_SET_NAME, args.text(thread.comm)] },
    { name: "sched_setattr", args: [0, ordinary, 0] },
    { name: "sched_setattr", args: [0, attr, 0] },
    { name: "ioprio_set", args: [IOPRIO_WHO_PROCESS, 0, ioprio] },
    { name: "prctl", args: [PR_SET_TIMERSLACK, timerSlackNs] },
  ];
  if (affinity.length > 0) calls.push({ name: "sched_setaffinity", args: [0, mask.length, args.put(mask)] });
  workshop.runIn(thread.tid, { what: "set its scheduling", calls, data: args.bytes() });
}

/** A thread's registrations with the kernel and its own queue of signals; rseq comes last of all. */
export function putThread(workshop: Workshop, thread: ThreadState): void {
  const args = new Arguments(workshop.data);
  const { altStack, clearChildTid, robustList, rseq, pending, tid } = thread;
  const [process, own] = [workshop.newborn.pid, tid].map((id) => workshop.newborn.numberOf(id)) as [
    number,
    number,
  ];
  // ON_STACK only says where the stack pointer is; the kernel finds that out by itself.
  const flags = BigInt(altStack.flags & ~SS_ONSTACK);
  const stack = args.words(altStack.sp, BigInt.asUintN(32, flags), altStack.sizeBytes);
  const calls: RemoteCall[] = [
    { name: "sigaltstack", args: [stack, 0] },
    { name: "set_tid_address", args: [clearChildTid] },
    ...pending.map((info): RemoteCall => {
      return { name: "rt_tgsigqueueinfo", args: [process, own, signalOf(info), args.put(info)] };
    }),
  ];
  if (robustList.head !== 0n) {
    calls.push({ name: "set_robust_list", args: [robustList.head, robustList.lengthBytes] });
  }
  if (rseq !== null) {
    calls.push({ name: "rseq", args: [rseq.address, rseq.sizeBytes, rseq.flags, rseq.signature] });
  }
  workshop.runIn(tid, { what: "set its thread's registrations", calls, data: args.bytes() });
}
