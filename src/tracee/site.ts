/**
 * Finds where a target can run remote calls without risk: instructions its code already has, and memory that
 * is proven free for the frame an orphan would return through. Nothing of the target is changed here, but that its
 * stack may grow.
 */
import { closeSync, openSync, readSync } from "node:fs";
import { isErrno } from "../errors.js";
import { type Address, PAGE_BYTES, pageDown } from "../state/address.js";
import { getRegister, withRegisters } from "../state/registers.js";
import type { Vma } from "../state/vma.js";
import { readMemory } from "./memory.js";
import { isNativeError } from "./native-error.js";
import type { GuardedSite } from "./remote.js";

/** Instructions of a target by address. */
export interface Gadgets {
  /** `syscall; ret` */
  readonly syscallRet: Address;
  /** Words after a `ret` that end in rt_sigreturn with the stack pointer behind the last one. */
  readonly chain: readonly bigint[];
}

const SYSCALL = Buffer.from([0x0f, 0x05]);
const SYSCALL_RET = Buffer.from([0x0f, 0x05, 0xc3]);
/** `mov $15,%rax; syscall` and `mov $15,%eax; syscall`: rt_sigreturn. */
const SIGRETURNS = [
  Buffer.from([0x48, 0xc7, 0xc0, 0x0f, 0, 0, 0, 0x0f, 0x05]),
  Buffer.from([0xb8, 0x0f, 0, 0, 0, 0x0f, 0x05]),
];
const POP_RAX_RET = Buffer.from([0x58, 0xc3]);
const SIGRETURN_NUMBER = 15n;
const CHUNK_BYTES = 1 << 20;
const PATTERN_BYTES_MAX = 16;
/** The x86-64 ABI lets a leaf function use 128 bytes below its stack pointer. */
const RED_ZONE_BYTES = 128n;

/** Searches executable file mappings, smallest first; null when the program has no such instructions. */
export function findGadgets(pid: number, vmas: readonly Vma[]): Gadgets | null {
  const code = vmas.filter((vma) => vma.prot[2] === "x" && vma.prot[0] === "r");
  const bySize = [...code].sort((a, b) => Number(a.end - a.start - (b.end - b.start)));
  const found = { syscallRet: 0n, sigreturn: 0n, popRaxRet: 0n };
  for (const vma of bySize) {
    searchMapping(pid, vma, found);
    if (found.syscallRet && found.sigreturn) {
      return { syscallRet: found.syscallRet, chain: [found.sigreturn] };
    }
  }
  if (!found.syscallRet || !found.popRaxRet) return null;
  return { syscallRet: found.syscallRet, chain: [found.popRaxRet, SIGRETURN_NUMBER, found.syscallRet] };
}

function searchMapping(
  pid: number,
  vma: Vma,
  found: { syscallRet: bigint; sigreturn: bigint; popRaxRet: bigint },
): void {
  for (let at = vma.start; at < vma.end; at += BigInt(CHUNK_BYTES)) {
    const left = Number(vma.end - at);
    const bytes = readOrNothing(pid, at, Math.min(left, CHUNK_BYTES + PATTERN_BYTES_MAX));
    const where = (pattern: Buffer): bigint => {
      const index = bytes.indexOf(pattern);
      return index < 0 ? 0n : at + BigInt(index);
    };
    found.syscallRet ||= where(SYSCALL_RET);
    found.popRaxRet ||= where(POP_RAX_RET);
    for (const pattern of SIGRETURNS) found.sigreturn ||= where(pattern);
    if (found.syscallRet && found.sigreturn) return;
  }
}

/** Memory that cannot be read (a file cut short under its mapping) holds nothing for us. */
function readOrNothing(pid: number, address: Address, lengthBytes: number): Buffer {
  try {
    return readMemory(pid, address, lengthBytes);
  } catch (error) {
    if (isNativeError(error, "EFAULT", "EIO")) return Buffer.alloc(0);
    throw error;
  }
}

/** True while the instructions are still where they were found. */
export function stillThere(pid: number, gadgets: Gadgets): boolean {
  const at = readOrNothing(pid, gadgets.syscallRet, SYSCALL_RET.length);
  const first = gadgets.chain[0] ?? 0n;
  const patterns = gadgets.chain.length === 1 ? SIGRETURNS : [POP_RAX_RET];
  const end = readOrNothing(pid, first, PATTERN_BYTES_MAX);
  return (
    at.equals(SYSCALL_RET) && patterns.some((pattern) => end.subarray(0, pattern.length).equals(pattern))
  );
}

/**
 * Borrowed memory for a stopped target that it cannot rely on, even if we die and nobody puts the old bytes back:
 * the bottom of the main stack's mapping, where the stack pointer is well above it or, while the program runs on
 * another stack, where nothing but zeros stand (a frame in use has a return address below it). Else memory below
 * the mapping: the stack grows by it as by a deeper call. Null when it may not grow, or is not to (`mayGrow`).
 */
export function findPlace(
  pid: number,
  facts: {
    readonly vmas: readonly Vma[];
    readonly rsp: Address;
    readonly placeBytes: number;
    readonly mayGrow?: boolean;
  },
): Address | null {
  const { vmas, rsp, placeBytes, mayGrow = true } = facts;
  const stack = vmas.find((vma) => vma.path === "[stack]");
  if (!stack?.prot.startsWith("rw")) return null;
  const size = BigInt(placeBytes);
  const isOnStack = rsp >= stack.start && rsp < stack.end;
  const isFree = isOnStack
    ? stack.start + size + RED_ZONE_BYTES <= rsp
    : stack.start + size <= stack.end && isZero(pid, stack.start, placeBytes);
  if (isFree) return stack.start;
  if (!mayGrow) return null;
  const lowest = isOnStack && rsp - RED_ZONE_BYTES < stack.start ? rsp - RED_ZONE_BYTES : stack.start;
  const below = pageDown(lowest) - size;
  return growsTo(pid, below) ? below : null;
}

/**
 * The stack pointer that memory for us must be below: the lowest on the main stack. Others than that of the main thread are
 * there only if a cr that was killed has left tasks or threads on their way home, through memory above their stack pointers.
 */
export function lowestOnStack(vmas: readonly Vma[], registers: Iterable<Buffer>): Address {
  const stack = vmas.find((vma) => vma.path === "[stack]");
  const [main = 0n, ...others] = [...registers].map((each) => getRegister(each, "rsp"));
  const isOn = (rsp: Address) => stack !== undefined && rsp >= stack.start && rsp < stack.end;
  return others.filter(isOn).reduce((lowest, rsp) => (rsp < lowest || !isOn(lowest) ? rsp : lowest), main);
}

function isZero(pid: number, address: Address, lengthBytes: number): boolean {
  const bytes = readOrNothing(pid, address, lengthBytes);
  return bytes.length === lengthBytes && bytes.every((byte) => byte === 0);
}

/** Reading a stack below its mapping through /proc/PID/mem makes it grow, within its limit (mm/memory.c). */
function growsTo(pid: number, address: Address): boolean {
  const mem = openSync(`/proc/${pid}/mem`, "r");
  try {
    return readSync(mem, Buffer.alloc(1), 0, 1, Number(address)) === 1;
  } catch (error) {
    if (isErrno(error, "EIO", "EFAULT")) return false;
    throw error;
  } finally {
    closeSync(mem);
  }
}

/** Puts a site together for a target with these true registers. */
export function guardedSite(
  gadgets: Gadgets,
  place: Address,
  facts: { readonly placeBytes: number; readonly registers: Buffer },
): GuardedSite {
  return {
    syscallAt: gadgets.syscallRet,
    chain: gadgets.chain,
    place,
    placeBytes: facts.placeBytes,
    orphan: orphanRegisters(facts.registers),
  };
}

/** Pages needed for scratch bytes and the frame of a thread with an XSAVE area of this size. */
export function placeBytesFor(scratchBytes: number, xstateBytes: number): number {
  const frame = 440 + xstateBytes + 512;
  return Math.ceil((scratchBytes + frame) / PAGE_BYTES) * PAGE_BYTES;
}

/**
 * Registers with which an orphan goes on. rt_sigreturn ends the kernel's restart logic, so an interrupted call
 * (rax -512, -513, -514, -516, orig_rax its number) is wound back here to be issued again.
 */
export function orphanRegisters(registers: Buffer): Buffer {
  const call = BigInt.asIntN(64, getRegister(registers, "orig_rax"));
  const result = BigInt.asIntN(64, getRegister(registers, "rax"));
  const restarts = call >= 0n && [-512n, -513n, -514n, -516n].includes(result);
  if (!restarts) return Buffer.from(registers);
  return withRegisters(registers, { rax: call, rip: getRegister(registers, "rip") - 2n });
}

/** Any `syscall` instruction of a process of our own, in its code or the vdso; null when there is none. */
export function findSyscall(pid: number, vmas: readonly Vma[]): Address | null {
  const code = vmas.filter((vma) => vma.prot[2] === "x" && vma.prot[0] === "r");
  for (const vma of [...code].sort((a, b) => Number(a.end - a.start - (b.end - b.start)))) {
    for (let at = vma.start; at < vma.end; at += BigInt(CHUNK_BYTES)) {
      const left = Number(vma.end - at);
      const index = readOrNothing(pid, at, Math.min(left, CHUNK_BYTES + PATTERN_BYTES_MAX)).indexOf(SYSCALL);
      if (index >= 0) return at + BigInt(index);
    }
  }
  return null;
}
