/**
 * Waits that every stop ends (signal(7)) and the kernel then restarts with their whole timeout: checkpointed often
 * enough, they would never time out. A ledger kept over the checkpoints of one process remembers since when the
 * same call waits; once its timeout is over it is ended as the kernel would have. The wait lasts at most one
 * interval longer than its timeout, counted from the first checkpoint that met it.
 */
import { getRegister, type RegisterName } from "../state/registers.js";
import { readMemory } from "../tracee/memory.js";
import { readSlices } from "../tracee/proc-status.js";

const EINTR = -4n;
const EAGAIN = -11n;

interface Ended {
  readonly name: string;
  /** Where its timeout stands: in ms in a register, or behind a pointer to a timespec; null: it has none. */
  readonly timeout: { readonly register: RegisterName; readonly as: "ms" | "timespec" } | null;
  /** What it returns when the time is over. */
  readonly expired: bigint;
}

/** Calls that end in EINTR when any stop interrupts them, by number (signal(7)). */
const ENDED_BY_STOPS: ReadonlyMap<bigint, Ended> = new Map([
  [65n, { name: "semop", timeout: null, expired: EINTR }],
  [69n, { name: "msgsnd", timeout: null, expired: EINTR }],
  [70n, { name: "msgrcv", timeout: null, expired: EINTR }],
  [128n, { name: "rt_sigtimedwait", timeout: { register: "rdx", as: "timespec" }, expired: EAGAIN }],
  [208n, { name: "io_getevents", timeout: { register: "r8", as: "timespec" }, expired: 0n }],
  [220n, { name: "semtimedop", timeout: { register: "r10", as: "timespec" }, expired: EAGAIN }],
  [232n, { name: "epoll_wait", timeout: { register: "r10", as: "ms" }, expired: 0n }],
  [281n, { name: "epoll_pwait", timeout: { register: "r10", as: "ms" }, expired: 0n }],
  [333n, { name: "io_pgetevents", timeout: { register: "r8", as: "timespec" }, expired: 0n }],
  [441n, { name: "epoll_pwait2", timeout: { register: "r10", as: "timespec" }, expired: 0n }],
]);

/** A call that was restarted at the end of a checkpoint. */
interface Restarted {
  /** All registers, which tell one call from another. */
  readonly registers: string;
  /** When a checkpoint first met it, by performance.now(). */
  readonly sinceMs: number;
  /** Times the process had been given a CPU when it was let go. */
  readonly slices: number;
}

/** By pid and start time. Make one with `new Map()` and pass it to every checkpoint of a process. */
export type RestartLedger = Map<string, Restarted>;

/** True when the stop itself, no signal, ended the call in progress. */
export function endedByStop(registers: Buffer): boolean {
  const result = BigInt.asIntN(64, getRegister(registers, "rax"));
  return result === EINTR && ENDED_BY_STOPS.has(getRegister(registers, "orig_rax"));
}

/** What a call that was ended by the stop returns when its timeout is over; null while it is not. */
export function expiredResult(
  pid: number,
  call: { readonly registers: Buffer; readonly key: string; readonly nowMs: number },
  ledger: RestartLedger,
): bigint | null {
  const kind = ENDED_BY_STOPS.get(getRegister(call.registers, "orig_rax"));
  const before = ledger.get(call.key);
  if (kind?.timeout == null || before === undefined || !isSameCall(pid, call.registers, before)) {
    ledger.delete(call.key);
    return null;
  }
  const limitMs = timeoutMs(pid, getRegister(call.registers, kind.timeout.register), kind.timeout.as);
  return limitMs !== null && call.nowMs - before.sinceMs >= limitMs ? kind.expired : null;
}

/**
 * The registers alone could be those of the next call of a loop. A process that was let go, waited and was stopped
 * has been given a CPU exactly twice; had it gone round its loop, at least once more.
 */
function isSameCall(pid: number, registers: Buffer, before: Restarted): boolean {
  return before.registers === registers.toString("hex") && readSlices(pid) === before.slices + 2;
}

/** Remembers a call that is about to be restarted; to be called last before the process is let go. */
export function rememberRestart(
  pid: number,
  call: { readonly registers: Buffer; readonly key: string; readonly nowMs: number },
  ledger: RestartLedger,
): void {
  const sinceMs = ledger.get(call.key)?.sinceMs ?? call.nowMs;
  ledger.set(call.key, { registers: call.registers.toString("hex"), sinceMs, slices: readSlices(pid) });
}

function timeoutMs(pid: number, value: bigint, as: "ms" | "timespec"): number | null {
  if (as === "ms") {
    const ms = Number(BigInt.asIntN(32, value));
    return ms < 0 ? null : ms;
  }
  if (value === 0n) return null;
  const timespec = readMemory(pid, value, 16);
  return Number(timespec.readBigInt64LE(0)) * 1000 + Number(timespec.readBigInt64LE(8)) / 1e6;
}
