/** Which of the things that processes have are one and the same (kcmp(2)), asked in one native call. */
import { call } from "./native.js";

/** linux/kcmp.h */
const KCMP = { file: 0, vm: 1, files: 2, fs: 3, sighand: 4, io: 5, sysvsem: 6 } as const;
export type SameKind = keyof typeof KCMP;

/** An open file description by one of its descriptors, or with the other kinds what a process has one of. */
export interface Held {
  readonly pid: number;
  readonly fd: number;
}

const HELD_BYTES = 8;

/**
 * For each the index of the first that it is the same as: its own where it is none of those before it. What has gone
 * meanwhile is like no other. Throws `NativeError` EPERM.
 */
export function firstSame(kind: SameKind, held: readonly Held[]): number[] {
  if (held.length < 2) return held.map((_, index) => index);
  const packed = Buffer.alloc(held.length * HELD_BYTES);
  held.forEach(({ pid, fd }, index) => {
    packed.writeInt32LE(pid, index * HELD_BYTES);
    packed.writeInt32LE(fd, index * HELD_BYTES + 4);
  });
  const first = Buffer.alloc(held.length * 4);
  call("cr_same", packed, held.length, KCMP[kind], first);
  return held.map((_, index) => first.readInt32LE(index * 4));
}
