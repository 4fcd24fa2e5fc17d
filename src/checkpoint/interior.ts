/**
 * What only the process itself can ask the kernel: one guarded batch of remote calls for signal dispositions,
 * alternate stack, program break, interval timers and process settings.
 */
import type { SignalState } from "../state/signal.js";
import type { ThreadState } from "../state/thread.js";
import type { TimerState } from "../state/timer.js";
import type { RemoteCall } from "../tracee/remote.js";
import { POLICIES_BYTES } from "./asked-policies.js";
import { decodeThreadSettings, THREAD_SETTINGS_BYTES, threadSettingsCalls } from "./thread-settings.js";

const SIGNALS = 64;
const SIGKILL = 9;
const SIGSTOP = 19;
const SIGCHLD = 17;
/** struct kernel_sigaction: handler, flags, restorer, mask. */
const SIGACTION_BYTES = 32;
const TIMERS_AT = SIGNALS * SIGACTION_BYTES;
const TIMER_BYTES = 32;
const TIMERS = [0, 1, 2];
const WORDS_AT = TIMERS_AT + TIMERS.length * TIMER_BYTES;

/** Options of prctl(2) that write an int (or a pointer) through their second argument. */
const READ_THROUGH = { deathSignal: 2, subreaper: 37 } as const;
const PR_GET_TID_ADDRESS = 40;
const PR_GET_TIMERSLACK = 30;
/** Options of prctl(2) whose value is the result. */
const READ_RESULT = {
  dumpable: 3,
  thpDisable: 42,
  mdwe: 66,
  memoryMerge: 68,
} as const;
type Through = keyof typeof READ_THROUGH;
type Result = keyof typeof READ_RESULT;

/** Of a thread: stack_t, then the address of set_tid_address(2). */
const THREAD_BYTES = 32;
const UNREAD_AT = WORDS_AT + Object.keys(READ_THROUGH).length * 8;
const THREAD_AT = UNREAD_AT + 8;
const THREAD_SETTINGS_AT = THREAD_AT + THREAD_BYTES;
/** Of seldom.ts, which is asked in the same batch. */
const SELDOM_BYTES = 16;
export const SELDOM_AT = THREAD_SETTINGS_AT + THREAD_SETTINGS_BYTES;
const MEMBARRIER_GET_REGISTRATIONS = 512;
/** asm-generic/ioctls.h */
const FIONREAD = 0x541b;

/** Of asked-policies.ts, likewise. */
export const POLICIES_AT = SELDOM_AT + SELDOM_BYTES;

/** Bytes of the target that the batch needs for its results. */
export const INTERIOR_SCRATCH_BYTES = POLICIES_AT + POLICIES_BYTES;
/** The part of them that `threadCalls` fill. */
export const THREAD_SCRATCH = { at: THREAD_AT, bytes: THREAD_BYTES + THREAD_SETTINGS_BYTES } as const;

export interface Interior {
  readonly actions: SignalState["actions"];
  readonly brk: bigint;
  readonly itimers: TimerState["itimers"];
  readonly settings: Readonly<Record<Through | Result, bigint>>;
  /** Commands of membarrier(2) it has registered for, 0 where the kernel does not tell. */
  readonly membarriers: number;
  /** Bytes waiting on standard input, 0 where that cannot be asked. */
  readonly unreadInputBytes: number;
}

/**
 * The signals whose action has to be asked for, from the lines of /proc/PID/status: those caught or ignored, and
 * SIGCHLD, whose flags matter by themselves (SA_NOCLDWAIT). A call costs the stop 15 us.
 */
export function signalsToAsk(status: ReadonlyMap<string, string>): number[] {
  const [caught, ignored] = [status.get("SigCgt"), status.get("SigIgn")];
  if (caught === undefined || ignored === undefined) return askable();
  const mask = BigInt(`0x${caught}`) | BigInt(`0x${ignored}`);
  return askable().filter((signal) => signal === SIGCHLD || (mask >> BigInt(signal - 1)) & 1n);
}

/** The calls, with result buffers in scratch memory at `place`; the actions of `signals` only. */
export function interiorCalls(place: bigint, signals: readonly number[] = askable()): RemoteCall[] {
  const at = (offset: number) => place + BigInt(offset);
  const actions = signals.map(
    (signal): RemoteCall => ({
      name: "rt_sigaction",
      args: [signal, 0, at((signal - 1) * SIGACTION_BYTES), 8],
    }),
  );
  const timers = TIMERS.map(
    (which): RemoteCall => ({ name: "getitimer", args: [which, at(TIMERS_AT + which * TIMER_BYTES)] }),
  );
  const through = Object.values(READ_THROUGH).map(
    (option, index): RemoteCall => ({ name: "prctl", args: [option, at(WORDS_AT + index * 8)] }),
  );
  const result = Object.values(READ_RESULT).map((option): RemoteCall => ({ name: "prctl", args: [option] }));
  return [
    { name: "brk", args: [0] },
    ...actions,
    ...timers,
    ...through,
    ...result,
    { name: "membarrier", args: [MEMBARRIER_GET_REGISTRATIONS, 0, 0] },
    { name: "ioctl", args: [0, FIONREAD, at(UNREAD_AT)] },
  ];
}

/** Decodes the results of `interiorCalls`. Throws RangeError with the failed call when one failed. */
export function decodeInterior(
  results: readonly bigint[],
  scratch: Buffer,
  signals: readonly number[] = askable(),
): Interior {
  const calls = interiorCalls(0n, signals);
  const prctls = calls.length - 2 - Object.keys(READ_RESULT).length;
  results.slice(0, prctls).forEach((value, index) => {
    if (value < 0n && value > -4096n) throw new RangeError(`${calls[index]?.name} failed: errno ${-value}`);
  });
  const settings = Object.fromEntries([
    ...Object.keys(READ_THROUGH).map((key, index) => [key, scratch.readBigUInt64LE(WORDS_AT + index * 8)]),
    // A kernel that does not know an option has it off.
    ...Object.keys(READ_RESULT).map((key, index) => [key, max(0n, results[prctls + index] ?? 0n)]),
  ]) as Record<Through | Result, bigint>;
  return {
    brk: results[0] ?? 0n,
    actions: signals.flatMap((signal) => decodeAction(signal, scratch)),
    itimers: TIMERS.flatMap((which) => decodeTimer(which, scratch)),
    unreadInputBytes: results[calls.length - 1] === 0n ? scratch.readInt32LE(UNREAD_AT) : 0,
    membarriers: Number(max(0n, results[calls.length - 2] ?? 0n)),
    settings,
  };
}

/** What a thread tells about itself. */
export interface ThreadInterior {
  readonly altStack: ThreadState["altStack"];
  readonly tidAddress: bigint;
  readonly timerSlackNs: bigint;
  readonly settings: ReturnType<typeof decodeThreadSettings>;
}

/** Calls for every thread, with result buffers at the end of the scratch memory at `place`. */
export function threadCalls(place: bigint): RemoteCall[] {
  const at = place + BigInt(THREAD_AT);
  return [
    { name: "sigaltstack", args: [0, at] },
    { name: "prctl", args: [PR_GET_TID_ADDRESS, at + 24n] },
    { name: "prctl", args: [PR_GET_TIMERSLACK] },
    ...threadSettingsCalls(place + BigInt(THREAD_SETTINGS_AT)),
  ];
}

/** Decodes the last results of a batch, those of `threadCalls`. */
export function decodeThreadInterior(results: readonly bigint[], scratch: Buffer): ThreadInterior {
  const own = results.slice(-threadCalls(0n).length);
  const failed = own.slice(0, 3).find((result) => result < 0n);
  if (failed !== undefined) throw new RangeError(`asking a thread failed: errno ${-failed}`);
  return {
    altStack: {
      sp: scratch.readBigUInt64LE(THREAD_AT),
      flags: scratch.readInt32LE(THREAD_AT + 8),
      sizeBytes: scratch.readBigUInt64LE(THREAD_AT + 16),
    },
    tidAddress: scratch.readBigUInt64LE(THREAD_AT + 24),
    timerSlackNs: own[2] ?? 0n,
    settings: decodeThreadSettings(own.slice(3), scratch.subarray(THREAD_SETTINGS_AT)),
  };
}

/** Every signal but the two that have no disposition. */
function askable(): number[] {
  return Array.from({ length: SIGNALS }, (_, index) => index + 1).filter(
    (signal) => signal !== SIGKILL && signal !== SIGSTOP,
  );
}

function decodeAction(signal: number, scratch: Buffer): SignalState["actions"] {
  const at = (signal - 1) * SIGACTION_BYTES;
  const [handler = 0n, flags = 0n, restorer = 0n, mask = 0n] = [0, 8, 16, 24].map((offset) =>
    scratch.readBigUInt64LE(at + offset),
  );
  const isDefault = handler === 0n && flags === 0n && mask === 0n;
  return isDefault ? [] : [{ signal, handler, flags, restorer, mask }];
}

function decodeTimer(which: number, scratch: Buffer): TimerState["itimers"] {
  const at = TIMERS_AT + which * TIMER_BYTES;
  const microseconds = (offset: number) =>
    scratch.readBigInt64LE(at + offset) * 1_000_000n + scratch.readBigInt64LE(at + offset + 8);
  const intervalUs = microseconds(0);
  const valueUs = microseconds(16);
  // A periodic timer whose signal waits to be taken has no time left: the kernel starts it again then.
  return valueUs === 0n && intervalUs === 0n ? [] : [{ which, valueUs, intervalUs }];
}

function max(a: bigint, b: bigint): bigint {
  return a > b ? a : b;
}
