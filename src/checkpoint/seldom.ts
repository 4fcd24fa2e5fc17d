/**
 * What few programs have and only they can tell: a local descriptor table, keyrings of their own, a trap for CPUID, the
 * permission to use tile registers. Asked in the batches of ask.ts; beside it what ptrace tells of a thread's hardware.
 */
import type { SoftError } from "../state/soft-error.js";
import { readHardware } from "../tracee/hardware.js";
import { cpuComponents } from "../tracee/native.js";
import type { RemoteCall } from "../tracee/remote.js";
import { killedBy } from "./filters.js";
import type { Refusal } from "./refusal.js";

const LDT_READ = 0;
const ARCH_GET_CPUID = 0x1011;
const ARCH_GET_XCOMP_PERM = 0x1022;
const KEYCTL_GET_KEYRING_ID = 0;
const KEY_SPEC_THREAD_KEYRING = -1;
const KEY_SPEC_PROCESS_KEYRING = -2;
/** Results: an entry of the local descriptor table, then a mask of xstate components (SELDOM_BYTES of interior.ts). */
const PERMITTED_AT = 8;
/** Components that a program must ask for: AMX tile data (linux/arch/x86/kernel/fpu/xstate.h, XFEATURE_MASK_USER_DYNAMIC). */
const DYNAMIC_COMPONENTS = 1n << 18n;
/** An option that prctl(2) does not know: asks nothing. */
const NO_CALL: RemoteCall = { name: "prctl", args: [0, 0, 0, 0, 0] };

/** Something that may be there: the call that tells, with results in scratch memory at `at`. */
interface Question {
  readonly what: string;
  readonly call: (at: bigint) => RemoteCall;
  /** Whether a result says so; a positive one does where this is left out. */
  readonly isThere?: (result: bigint) => boolean;
}

/** What of the process, or of its main thread, from which others inherit it: asked once. */
const OF_PROCESS: readonly Question[] = [
  { what: "a local descriptor table (modify_ldt)", call: ldtCall },
  {
    what: "a keyring of its own (keyctl, KEY_SPEC_PROCESS_KEYRING)",
    call: keyringOf(KEY_SPEC_PROCESS_KEYRING),
  },
  {
    what: "a trap for the CPUID instruction (ARCH_SET_CPUID)",
    call: cpuidCall,
    isThere: (result) => result === 0n,
  },
];
/** What of a thread: asked of each, so that it has to be little. */
const OF_THREAD: readonly Question[] = [
  {
    what: "a keyring of its own (keyctl, KEY_SPEC_THREAD_KEYRING)",
    call: keyringOf(KEY_SPEC_THREAD_KEYRING),
  },
];

/** What a process has of it. */
export interface Seldom {
  /** Dynamic xstate components that it may use (bits of XCR0). */
  readonly permitted: bigint;
  readonly refusals: readonly Refusal[];
  readonly softErrors: readonly SoftError[];
}

/**
 * The calls of the main thread, with results in scratch memory at `at`. A call that one of the seccomp filters would
 * kill for is left out: should cr die in it, the program would.
 */
export function seldomCalls(at: bigint, filters: readonly Buffer[]): RemoteCall[] {
  const permission: RemoteCall = {
    name: "arch_prctl",
    args: [ARCH_GET_XCOMP_PERM, at + BigInt(PERMITTED_AT)],
  };
  const calls = [...OF_PROCESS.map(({ call }) => call(at)), ...(hasDynamic() ? [permission] : [])];
  return calls.map((call) => unlessDeadly(call, filters));
}

/** Whether this CPU has any, of which a program could be permitted one. */
function hasDynamic(): boolean {
  return (cpuComponents() & DYNAMIC_COMPONENTS) !== 0n;
}

/** The calls of every thread. */
export function seldomThreadCalls(filters: readonly Buffer[]): RemoteCall[] {
  return OF_THREAD.map(({ call }) => unlessDeadly(call(0n), filters));
}

function unlessDeadly(call: RemoteCall, filters: readonly Buffer[]): RemoteCall {
  return killedBy(call.name, filters) ? NO_CALL : call;
}

/** Decodes the results of `seldomCalls`; a kernel that does not know a call has nothing of it. */
export function decodeSeldom(
  results: readonly bigint[],
  scratch: Buffer,
  filters: readonly Buffer[],
): Seldom {
  const found = OF_PROCESS.filter(({ isThere = isPositive }, index) => isThere(results[index] ?? -1n));
  const permission = results[OF_PROCESS.length] ?? -1n;
  const unasked = [...OF_PROCESS, ...OF_THREAD].filter(({ call }) => killedBy(call(0n).name, filters));
  return {
    permitted: permission === 0n ? scratch.readBigUInt64LE(PERMITTED_AT) & DYNAMIC_COMPONENTS : 0n,
    refusals: found.map(({ what }) => ({ kind: "setting", id: "", what })),
    softErrors: unasked.map(({ what }) => ({
      kind: "seccomp",
      id: "",
      message: `whether it has ${what} was not asked, because a seccomp filter would kill it for that`,
    })),
  };
}

/** What a thread has of it: `results` are those of `seldomThreadCalls`. */
export function refusedOfThread(tid: number, results: readonly bigint[]): Refusal[] {
  const found = OF_THREAD.filter(({ isThere = isPositive }, index) => isThere(results[index] ?? -1n));
  return found.map(({ what }) => ({ kind: "thread", id: `tid:${tid}`, what }));
}

/** Hardware breakpoints, thread areas, I/O ports and scheduling cookies of stopped threads. */
export function refusedHardware(tids: readonly number[]): Refusal[] {
  return tids.flatMap((tid) => {
    const { breakpoints, threadAreas, ports, coreCookie } = readHardware(tid);
    const found = [
      ...(breakpoints ? ["hardware breakpoints in debug registers"] : []),
      ...(threadAreas ? ["a thread area of 32-bit code (set_thread_area)"] : []),
      ...(ports ? ["access to I/O ports (ioperm)"] : []),
      ...(coreCookie ? ["a core scheduling cookie (PR_SCHED_CORE)"] : []),
    ];
    return found.map((what) => ({ kind: "thread", id: `tid:${tid}`, what }));
  });
}

function ldtCall(at: bigint): RemoteCall {
  return { name: "modify_ldt", args: [LDT_READ, at, PERMITTED_AT] };
}

function isPositive(result: bigint): boolean {
  return result > 0n;
}

/** Tells 1 where the instruction is free, as it mostly is (arch_prctl(2)). */
function cpuidCall(): RemoteCall {
  return { name: "arch_prctl", args: [ARCH_GET_CPUID, 0] };
}

/** Without "create" the kernel only looks (keyctl(2)); that of the session it would make, so it is not asked for. */
function keyringOf(which: number): (at: bigint) => RemoteCall {
  return () => ({ name: "keyctl", args: [KEYCTL_GET_KEYRING_ID, which, 0] });
}
