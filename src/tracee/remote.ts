/**
 * A batch of system calls for a tracee to run itself, in one native call (native/remote.c tells how a target is
 * guarded while its registers are ours).
 */
import type { Address } from "../state/address.js";
import { REGISTERS_BYTES } from "../state/registers.js";
import { errnoName, NativeError, tryCall } from "./native.js";
import { SYSCALL, type SyscallName } from "./syscalls.js";

/** Layout of struct cr_call and struct cr_site (native/cr.h); test/tracee/layouts.test.ts compares them. */
export const CALL_BYTES = 64;
export const SITE_LAYOUT = {
  bytes: 280,
  chain: 8,
  chainLength: 32,
  stopSignal: 36,
  place: 40,
  placeLength: 48,
  orphan: 56,
  options: 272,
} as const;

/** Calls of one batch; the native side refuses more. */
const CALLS_MAX = 4096;

export interface RemoteCall {
  readonly name: SyscallName;
  readonly args: readonly (bigint | number)[];
}

/** Where a guarded target runs remote calls (site.ts finds it). */
export interface GuardedSite {
  /** `syscall; ret`. */
  readonly syscallAt: Address;
  /** Words that lead from that `ret` into rt_sigreturn. */
  readonly chain: readonly bigint[];
  /** Borrowed memory: scratch bytes first, the orphan's frame behind. */
  readonly place: Address;
  readonly placeBytes: number;
  /** Registers with which a target goes on if we die in between (216 bytes). */
  readonly orphan: Buffer;
  /** Options of ptrace(2) that hold while the calls run, such as PTRACE_O_TRACECLONE. */
  readonly options?: number;
}

/** The batch was cut short by a signal that cannot be blocked; the target has its own state back. */
export class RemoteInterrupted extends Error {
  readonly signal: number;
  constructor(signal: number) {
    super(`remote calls interrupted by signal ${signal}`);
    this.name = "RemoteInterrupted";
    this.signal = signal;
  }
}

/**
 * Runs calls in a stopped target that must not be harmed. `scratch` is copied to the start of the place before
 * the calls and read back into the same buffer after. Results are as the kernel gave them (negative errno
 * included). The target ends in an interrupt-stop with its own registers, mask and memory.
 */
export function runGuarded(
  tid: number,
  site: GuardedSite,
  batch: { readonly calls: readonly RemoteCall[]; readonly scratch: Buffer },
): bigint[] {
  const packed = Buffer.alloc(SITE_LAYOUT.bytes);
  packed.writeBigUInt64LE(site.syscallAt, 0);
  site.chain.forEach((word, index) => {
    packed.writeBigUInt64LE(word, SITE_LAYOUT.chain + index * 8);
  });
  packed.writeUInt32LE(site.chain.length, SITE_LAYOUT.chainLength);
  packed.writeBigUInt64LE(site.place, SITE_LAYOUT.place);
  packed.writeBigUInt64LE(BigInt(site.placeBytes), SITE_LAYOUT.placeLength);
  packed.writeUInt32LE(site.options ?? 0, SITE_LAYOUT.options);
  site.orphan.copy(packed, SITE_LAYOUT.orphan, 0, REGISTERS_BYTES);
  return run(tid, packed, batch);
}

/** Runs calls in a process of our own, at an address that holds a `syscall` instruction. */
export function runUnguarded(tid: number, syscallAt: Address, calls: readonly RemoteCall[]): bigint[] {
  const packed = Buffer.alloc(SITE_LAYOUT.bytes);
  packed.writeBigUInt64LE(syscallAt, 0);
  const results: bigint[] = [];
  for (let at = 0; at < calls.length; at += CALLS_MAX) {
    const slice = calls.slice(at, at + CALLS_MAX);
    results.push(...run(tid, packed, { calls: slice, scratch: Buffer.alloc(0) }));
  }
  return results;
}

function run(
  tid: number,
  site: Buffer,
  batch: { readonly calls: readonly RemoteCall[]; readonly scratch: Buffer },
): bigint[] {
  const { calls, scratch } = batch;
  const packed = packCalls(calls);
  const result = tryCall("cr_remote", tid, site, packed, calls.length, scratch, scratch.length);
  const signal = site.readUInt32LE(SITE_LAYOUT.stopSignal);
  if (signal !== 0) throw new RemoteInterrupted(signal);
  if (result < 0) throw new NativeError("cr_remote", errnoName(-result));
  return calls.map((_, index) => packed.readBigInt64LE(index * CALL_BYTES + 56));
}

function packCalls(calls: readonly RemoteCall[]): Buffer {
  const packed = Buffer.alloc(calls.length * CALL_BYTES);
  calls.forEach((call, index) => {
    const at = index * CALL_BYTES;
    packed.writeBigUInt64LE(BigInt(SYSCALL[call.name]), at);
    call.args.forEach((arg, position) => {
      packed.writeBigUInt64LE(BigInt.asUintN(64, BigInt(arg)), at + 8 + position * 8);
    });
  });
  return packed;
}
