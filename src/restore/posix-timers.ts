/**
 * POSIX timers made again under their ids (timer_create(2)), armed with the time they had left. One whose tick
 * waits in a queue is made to fire again instead, so that the kernel itself queues the tick and counts what comes after.
 */
import { CrError } from "../errors.js";
import type { ProcessState } from "../state/process.js";
import type { PosixTimer } from "../state/timer.js";
import type { Newborn } from "../tracee/newborn.js";
import type { RemoteCall } from "../tracee/remote.js";
import { Arguments } from "./arguments.js";
import type { Workshop } from "./workshop.js";

const SECOND = 1_000_000_000n;
const TIMER_ABSTIME = 1;
/** sigev_notify of sigevent(3type). */
const NOTIFY = { signal: 0, none: 1, thread: 2 } as const;
const SIGEV_THREAD_ID = 4;
const SIGEVENT_WORDS = 8;
/** prctl(2), Linux 6.15: timer_create takes the id from where it is to be written. */
const PR_TIMER_CREATE_RESTORE_IDS = 77;
/** Ids are given in turn: without the prctl above they are counted up to this one. */
const COUNTED_ID_MAX = 10_000;
const SI_TIMER = -2;
const SI_CODE_AT = 8;
const SI_TIMERID_AT = 16;
/** Timers made and set with one batch of arguments. */
const BATCH = 64;

/** Whether a queued siginfo_t is the tick of a periodic timer, which `putPosixTimers` causes again. */
export function isTick(info: Buffer, { timers }: Pick<ProcessState, "timers">): boolean {
  if (info.readInt32LE(SI_CODE_AT) !== SI_TIMER) return false;
  const id = info.readInt32LE(SI_TIMERID_AT);
  return timers.posix.some((timer) => timer.id === id && timer.intervalNs > 0n);
}

/** Makes and arms all of them; RESTORE_FAILED. */
export function putPosixTimers(workshop: Workshop, state: ProcessState): void {
  const timers = state.timers.posix.map((timer) => underNewPid(timer, state.process.pid, workshop.newborn));
  if (timers.length === 0) return;
  const queued = [...state.signals.pending, ...state.threads.flatMap(({ pending }) => pending)];
  const ticks = new Set(
    queued.filter((info) => isTick(info, state)).map((info) => info.readInt32LE(SI_TIMERID_AT)),
  );
  if (restoresIds(workshop, true)) {
    for (let at = 0; at < timers.length; at += BATCH) makeAt(workshop, timers.slice(at, at + BATCH));
    restoresIds(workshop, false);
  } else {
    makeCounting(workshop, timers);
  }
  for (const timer of timers) arm(workshop, timer, ticks.has(timer.id));
}

/** A lone thread under another pid is told under that; so is a CPU clock of the process. */
function underNewPid(timer: PosixTimer, was: number, newborn: Newborn): PosixTimer {
  const is = newborn.pid;
  const clockPid = ~(timer.clock >> 3);
  const clock = timer.clock < 0 && clockPid === was ? (~is << 3) | (timer.clock & 7) : timer.clock;
  const tid = timer.tid === was ? is : timer.tid;
  return { ...timer, clock, tid: tid === null ? null : newborn.numberOf(tid) };
}

function restoresIds(workshop: Workshop, on: boolean): boolean {
  const call: RemoteCall = { name: "prctl", args: [PR_TIMER_CREATE_RESTORE_IDS, on ? 1 : 0, 0, 0, 0] };
  return workshop.attempt(call) >= 0n;
}

function makeAt(workshop: Workshop, timers: readonly PosixTimer[]): void {
  const args = new Arguments(workshop.data);
  const calls = timers.map((timer) => createCall(args, timer));
  workshop.run("make its POSIX timers", calls, args.bytes());
}

/** sigevent(3type), and an int that holds the wanted id and gets the given one. */
function createCall(args: Arguments, { id, clock, signal, value, notify, tid }: PosixTimer): RemoteCall {
  const kind = NOTIFY[notify] | (tid === null ? 0 : SIGEV_THREAD_ID);
  const words = Array.from({ length: SIGEVENT_WORDS }, () => 0n);
  words[0] = value;
  words[1] = BigInt(signal) | (BigInt(kind) << 32n);
  words[2] = BigInt(tid ?? 0);
  return { name: "timer_create", args: [clock, args.words(...words), args.words(BigInt(id))] };
}

/** The kernel gives ids in turn: those in between are made and deleted again. */
function makeCounting(workshop: Workshop, timers: readonly PosixTimer[]): void {
  let next = 0;
  for (const timer of timers) {
    if (timer.id > COUNTED_ID_MAX) throw tooHigh(timer.id);
    for (; next <= timer.id; next += 1) {
      makeAt(workshop, [{ ...timer, id: 0 }]);
      if (next < timer.id) workshop.run("make its POSIX timers", [{ name: "timer_delete", args: [next] }]);
    }
  }
}

function tooHigh(id: number): CrError {
  return new CrError(
    "RESTORE_FAILED",
    `cannot make POSIX timer ${id}: this kernel cannot be asked for an id`,
    {
      hint: "restore it under Linux 6.15 or newer",
    },
  );
}

function arm(workshop: Workshop, timer: PosixTimer, ticked: boolean): void {
  const { id, clock, leftNs, intervalNs } = timer;
  if (leftNs === 0n && intervalNs === 0n) return;
  const args = new Arguments(workshop.data);
  const timespec = (ns: bigint) => [ns / SECOND, ns % SECOND];
  // CPU clocks of the new process have only just begun: no instant of theirs lies a period back.
  const again = ticked && clock >= 0 && clock !== 2 && clock !== 3;
  const soon = ticked || leftNs === 0n ? 1n : leftNs;
  const first = again ? max(1n, now(workshop, clock) + leftNs - intervalNs) : soon;
  const spec = args.words(...timespec(intervalNs), ...timespec(first));
  const call: RemoteCall = { name: "timer_settime", args: [id, again ? TIMER_ABSTIME : 0, spec, 0] };
  workshop.run("arm its POSIX timers", [call], args.bytes());
}

/** The newborn's own clock, in ns: it may live in another time namespace than we do. */
function now(workshop: Workshop, clock: number): bigint {
  workshop.run("read its clock", [{ name: "clock_gettime", args: [clock, workshop.data] }]);
  const spec = workshop.read(16);
  return spec.readBigInt64LE(0) * SECOND + spec.readBigInt64LE(8);
}

function max(a: bigint, b: bigint): bigint {
  return a > b ? a : b;
}
