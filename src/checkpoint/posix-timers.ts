/**
 * POSIX timers: /proc lists what they are, the process itself is asked how much time they have left. Leaves the
 * remote calls to ask.ts.
 */
import type { SoftError } from "../state/soft-error.js";
import type { PosixTimer } from "../state/timer.js";
import { type ListedTimer, parseTimers } from "../tracee/posix-timers.js";
import type { RemoteCall } from "../tracee/remote.js";
import type { Refusal } from "./refusal.js";

/** struct itimerspec: interval, then value, each seconds and nanoseconds. */
const ITIMERSPEC_BYTES = 32;
const CLOCK_THREAD_CPUTIME_ID = 3;
/** Low bits of a negative clock id: CPUCLOCK_PERTHREAD_MASK, and the clock of an open device. */
const PER_THREAD = 4;
const CLOCKFD_MASK = 7;
const CLOCKFD = 3;

/** How a batch of remote calls is run: results, with `scratch` as the calls have left it. */
export type RunCalls = (
  callsAt: (place: bigint) => readonly RemoteCall[],
  scratch: Buffer,
) => readonly bigint[];

/** Timers whose clock the kernel does not tell, or that only a thread of many could make again. */
export function refusedTimers(text: string, threads: number): Refusal[] {
  return parseTimers(text).flatMap(({ id, clock }) => {
    const ofDevice = clock < 0 && (clock & CLOCKFD_MASK) === CLOCKFD;
    const self =
      clock === CLOCK_THREAD_CPUTIME_ID || (clock < 0 && (clock & PER_THREAD) !== 0 && clock >> 3 === -1);
    if (ofDevice) return [refusal(id, "a POSIX timer on the clock of a device")];
    if (!self || threads === 1) return [];
    const what = "a POSIX timer on the CPU clock of one of several threads (the kernel does not tell which)";
    return [refusal(id, what)];
  });
}

function refusal(id: number, what: string): Refusal {
  return { kind: "timer", id: `timer:${id}`, what, skip: `timer:${id}` };
}

/** Asks for the time left of every timer in `text`, as many in a batch as `roomBytes` allow. */
export function askTimers(text: string, roomBytes: number, run: RunCalls): PosixTimer[] {
  const listed = parseTimers(text);
  const perBatch = Math.floor(roomBytes / ITIMERSPEC_BYTES);
  const timers: PosixTimer[] = [];
  for (let at = 0; at < listed.length; at += perBatch) {
    const some = listed.slice(at, at + perBatch);
    const scratch = Buffer.alloc(roomBytes);
    const results = run((place) => some.map(({ id }, index) => timeLeft(id, place, index)), scratch);
    some.forEach((timer, index) => {
      const result = results[index] ?? 0n;
      if (result < 0n) throw new RangeError(`timer_gettime of timer ${timer.id} failed: errno ${-result}`);
      timers.push(decode(timer, scratch.subarray(index * ITIMERSPEC_BYTES)));
    });
  }
  return timers;
}

function timeLeft(id: number, place: bigint, index: number): RemoteCall {
  return { name: "timer_gettime", args: [id, place + BigInt(index * ITIMERSPEC_BYTES)] };
}

function decode(timer: ListedTimer, spec: Buffer): PosixTimer {
  const nanoseconds = (at: number) => spec.readBigInt64LE(at) * 1_000_000_000n + spec.readBigInt64LE(at + 8);
  return { ...timer, intervalNs: nanoseconds(0), leftNs: nanoseconds(16) };
}

/** What the kernel does not show of an armed timer, as one soft error. */
export function lostOfTimers(timers: readonly PosixTimer[]): SoftError[] {
  const armed = timers.filter(({ leftNs, intervalNs }) => leftNs > 0n || intervalNs > 0n);
  if (armed.length === 0) return [];
  const ids = armed.map(({ id }) => id).join(", ");
  const message = `POSIX timers ${ids}: the time left is saved; whether it was set as an absolute time, and the overrun count, are not shown by the kernel`;
  return [{ kind: "timer", id: "", message }];
}
