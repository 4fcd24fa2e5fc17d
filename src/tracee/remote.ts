/**
 * Batches of system calls for tracees to run themselves, in one native call (native/remote.c tells how a target is
 * guarded while its registers are ours).
 */
import type { Address } from "../state/address.js";
import { REGISTERS_BYTES } from "../state/registers.js";
import { call, errnoName, NativeError } from "./native.js";
import { SYSCALL, type SyscallName } from "./syscalls.js";

/** Layout of struct cr_call, cr_site and cr_batch, which begins with a site (native/cr.h); test/tracee/layouts.test.ts compares them. */
export const CALL_BYTES = 64;
export const SITE_LAYOUT = {
  bytes: 288,
  chain: 8,
  chainLength: 32,
  stopSignal: 36,
  place: 40,
  placeLength: 48,
  orphan: 56,
  options: 272,
  keeps: 276,
  waitAt: 280,
} as const;
export const BATCH_LAYOUT = {
  bytes: 304,
  tid: 288,
  callCount: 292,
  scratchLength: 296,
  result: 300,
} as const;

/** Calls of one batch, and batches of one native call; the native side refuses more. */
const CALLS_MAX = 4096;
export const BATCHES_MAX = 64;

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
  /** Where the target waits first if we die (park.ts), in a place with WAIT_BYTES more. */
  readonly waitAt?: Address;
  /** Mask, registers and place stay ours when the calls are done, and also when they failed: the caller puts them back. */
  readonly keeps?: boolean;
}

/** Room that `waitAt` takes in a place. */
export const WAIT_BYTES = 512;

/** The batch was cut short by a signal that cannot be blocked; the target has its own state back, unless it is kept. */
export class RemoteInterrupted extends Error {
  readonly signal: number;
  /** Of the calls that were made; 0 for the others. */
  readonly results: readonly bigint[];
  constructor(signal: number, results: readonly bigint[] = []) {
    super(`remote calls interrupted by signal ${signal}`);
    this.name = "RemoteInterrupted";
    this.signal = signal;
    this.results = results;
  }
}

/** Calls of one thread. `scratch` is copied to the start of the place before them, and read back into it after. */
export interface GuardedBatch {
  readonly tid: number;
  readonly site: GuardedSite;
  readonly calls: readonly RemoteCall[];
  readonly scratch: Buffer;
}

/**
 * Runs calls in a stopped target that must not be harmed. Results are as the kernel gave them (negative errno
 * included). The target ends in an interrupt-stop with its own registers, mask and memory. Throws `NativeError`,
 * `RemoteInterrupted`.
 */
export function runGuarded(
  tid: number,
  site: GuardedSite,
  batch: { readonly calls: readonly RemoteCall[]; readonly scratch: Buffer },
): bigint[] {
  const [results] = runSideBySide([{ tid, site, ...batch }]);
  if (!Array.isArray(results)) throw results;
  return results;
}

/**
 * The same for several threads, which run at the same time: at most BATCHES_MAX, with places that have no byte in
 * common. What `runGuarded` would throw for one stands in place of its results.
 */
export function runSideBySide(batches: readonly GuardedBatch[]): (bigint[] | Error)[] {
  const packed = Buffer.alloc(batches.length * BATCH_LAYOUT.bytes);
  batches.forEach((batch, index) => {
    packSite(packed.subarray(index * BATCH_LAYOUT.bytes), batch.site);
  });
  return run(packed, batches);
}

function packSite(packed: Buffer, site: GuardedSite): void {
  packed.writeBigUInt64LE(site.syscallAt, 0);
  site.chain.forEach((word, index) => {
    packed.writeBigUInt64LE(word, SITE_LAYOUT.chain + index * 8);
  });
  packed.writeUInt32LE(site.chain.length, SITE_LAYOUT.chainLength);
  packed.writeBigUInt64LE(site.place, SITE_LAYOUT.place);
  packed.writeBigUInt64LE(BigInt(site.placeBytes), SITE_LAYOUT.placeLength);
  packed.writeUInt32LE(site.options ?? 0, SITE_LAYOUT.options);
  packed.writeUInt32LE(site.keeps ? 1 : 0, SITE_LAYOUT.keeps);
  packed.writeBigUInt64LE(site.waitAt ?? 0n, SITE_LAYOUT.waitAt);
  site.orphan.copy(packed, SITE_LAYOUT.orphan, 0, REGISTERS_BYTES);
}

/** Runs calls in a process of our own, at an address that holds a `syscall` instruction. */
export function runUnguarded(tid: number, syscallAt: Address, calls: readonly RemoteCall[]): bigint[] {
  const results: bigint[] = [];
  for (let at = 0; at < calls.length; at += CALLS_MAX) {
    const packed = Buffer.alloc(BATCH_LAYOUT.bytes);
    packed.writeBigUInt64LE(syscallAt, 0);
    const slice = { tid, calls: calls.slice(at, at + CALLS_MAX), scratch: Buffer.alloc(0) };
    const [some] = run(packed, [slice]);
    if (!Array.isArray(some)) throw some;
    results.push(...some);
  }
  return results;
}

/** `sites` has a struct cr_batch for each, of which the site is filled in. */
function run(sites: Buffer, batches: readonly Omit<GuardedBatch, "site">[]): (bigint[] | Error)[] {
  batches.forEach(({ tid, calls, scratch }, index) => {
    const at = index * BATCH_LAYOUT.bytes;
    sites.writeInt32LE(tid, at + BATCH_LAYOUT.tid);
    sites.writeInt32LE(calls.length, at + BATCH_LAYOUT.callCount);
    sites.writeInt32LE(scratch.length, at + BATCH_LAYOUT.scratchLength);
  });
  const calls = packCalls(batches.flatMap((batch) => batch.calls));
  const scratch = Buffer.concat(batches.map((batch) => batch.scratch));
  const count = calls.length / CALL_BYTES;
  call("cr_remote", sites, batches.length, calls, count, scratch, scratch.length);
  const from = { calls: 0, scratch: 0 };
  return batches.map((batch, index) => {
    const ours = { calls: from.calls, scratch: from.scratch };
    from.calls += batch.calls.length * CALL_BYTES;
    from.scratch += batch.scratch.length;
    const results = batch.calls.map((_, at) => calls.readBigInt64LE(ours.calls + at * CALL_BYTES + 56));
    const error = errorOf(sites.subarray(index * BATCH_LAYOUT.bytes), results);
    if (error !== null) return error;
    scratch.copy(batch.scratch, 0, ours.scratch, from.scratch);
    return results;
  });
}

/** What became of a batch. */
function errorOf(batch: Buffer, results: readonly bigint[]): Error | null {
  const signal = batch.readUInt32LE(SITE_LAYOUT.stopSignal);
  if (signal !== 0) return new RemoteInterrupted(signal, results);
  const result = batch.readInt32LE(BATCH_LAYOUT.result);
  return result < 0 ? new NativeError("cr_remote", errnoName(-result)) : null;
}

function packCalls(calls: readonly RemoteCall[]): Buffer {
  const packed = Buffer.alloc(calls.length * CALL_BYTES);
  calls.forEach(({ name, args }, index) => {
    const at = index * CALL_BYTES;
    packed.writeBigUInt64LE(BigInt(SYSCALL[name]), at);
    args.forEach((arg, position) => {
      packed.writeBigUInt64LE(BigInt.asUintN(64, BigInt(arg)), at + 8 + position * 8);
    });
  });
  return packed;
}
