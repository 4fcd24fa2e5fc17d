/**
 * What a task of ours in a target's memory does when nobody holds it any more: it waits for the child it may have and
 * ends. It is born with its stack pointer here, so it knows no other way, even if cr dies in the instant of its birth.
 *
 *   base: … | words to rt_sigreturn | frame: wait4 | words to rt_sigreturn | frame: exit |
 */
import { type Address, PAGE_BYTES } from "../state/address.js";
import type { Gadgets } from "./site.js";

/** Offsets of struct rt_sigframe and its sigcontext on x86-64 (arch/x86/include/asm/sigframe.h). */
const FRAME = {
  bytes: 440,
  stackFlags: 32,
  r10: 64,
  rdi: 112,
  rsi: 120,
  rdx: 144,
  rax: 152,
  rsp: 168,
} as const;
const FRAME_REST = { rip: 176, eflags: 184, cs: 192, ss: 198, mask: 304 } as const;
/** No flags of sigaltstack(2): the kernel then leaves the alternate stack alone. */
const STACK_FLAGS_REFUSED = 0x1234;
const USER_CS = 0x33;
const USER_SS = 0x2b;
const USER_EFLAGS = 0x202n;

const WAIT4 = 61n;
const EXIT = 60n;
/** Children of any kind, but of this thread only (wait(2)). */
const WALL_NOTHREAD = 0x6000_0000n;

/** A page of memory and the stack pointers with which a task goes home through it. */
export interface OrphanHome {
  readonly image: Buffer;
  /** For a task that may have a child: it waits for its end first. */
  readonly waiting: Address;
  /** For one that has none. */
  readonly ending: Address;
}

/** The page for `base`. */
export function orphanHome(base: Address, { syscallRet, chain }: Gadgets): OrphanHome {
  const image = Buffer.alloc(PAGE_BYTES);
  const layFrame = (at: number, registers: Partial<Record<keyof typeof FRAME, bigint>>): Address => {
    const wordsAt = at - 8 * (chain.length - 1);
    chain.forEach((word, index) => {
      image.writeBigUInt64LE(word, wordsAt + 8 * index);
    });
    image.writeUInt32LE(STACK_FLAGS_REFUSED, at + FRAME.stackFlags);
    for (const [name, value] of Object.entries(registers)) {
      image.writeBigUInt64LE(BigInt.asUintN(64, value), at + FRAME[name as keyof typeof FRAME]);
    }
    image.writeBigUInt64LE(syscallRet, at + FRAME_REST.rip);
    image.writeBigUInt64LE(USER_EFLAGS, at + FRAME_REST.eflags);
    image.writeUInt16LE(USER_CS, at + FRAME_REST.cs);
    image.writeUInt16LE(USER_SS, at + FRAME_REST.ss);
    image.writeBigUInt64LE(2n ** 64n - 1n, at + FRAME_REST.mask);
    return base + BigInt(wordsAt);
  };
  const lastAt = PAGE_BYTES - FRAME.bytes - 8;
  const ending = layFrame(lastAt, { rax: EXIT, rdi: 0n, rsp: base + BigInt(PAGE_BYTES - 8) });
  const waitAt = lastAt - 64 - FRAME.bytes;
  const call = { rax: WAIT4, rdi: -1n, rsi: 0n, rdx: WALL_NOTHREAD, r10: 0n };
  return { image, ending, waiting: layFrame(waitAt, { ...call, rsp: ending }) };
}
