/**
 * NT_PRSTATUS (struct elf_prstatus, linux/elfcore.h): a thread's ids, signals and general registers.
 *
 *   0 si_signo, si_code, si_errno | 12 cursig (2) | 16 sigpend | 24 sighold | 32 pid ppid pgrp sid |
 *   48 four times of 16 | 112 registers (216) | 328 fpvalid, padding | 336
 */
import { REGISTERS_BYTES } from "../state/registers.js";

export const PRSTATUS_BYTES = 336;
const REGISTERS_AT = 112;

export interface Prstatus {
  readonly tid: number;
  readonly ppid: number;
  readonly pgid: number;
  readonly sid: number;
  /** The signal that ended the process, 0 when none did. */
  readonly signal: number;
  /** Pending and blocked signals, bit N-1 for signal N. */
  readonly sigpend: bigint;
  readonly sighold: bigint;
  /** user_regs_struct, 216 bytes. */
  readonly registers: Buffer;
}

/** The body of the note; the times, which nobody needs, are zero. */
export function encodePrstatus(status: Prstatus): Buffer {
  const bytes = Buffer.alloc(PRSTATUS_BYTES);
  bytes.writeInt32LE(status.signal, 0);
  bytes.writeInt16LE(status.signal, 12);
  bytes.writeBigUInt64LE(status.sigpend, 16);
  bytes.writeBigUInt64LE(status.sighold, 24);
  bytes.writeInt32LE(status.tid, 32);
  bytes.writeInt32LE(status.ppid, 36);
  bytes.writeInt32LE(status.pgid, 40);
  bytes.writeInt32LE(status.sid, 44);
  status.registers.copy(bytes, REGISTERS_AT, 0, REGISTERS_BYTES);
  bytes.writeInt32LE(1, REGISTERS_AT + REGISTERS_BYTES);
  return bytes;
}

/** `desc` must have PRSTATUS_BYTES bytes. */
export function decodePrstatus(desc: Buffer): Prstatus {
  return {
    tid: desc.readInt32LE(32),
    ppid: desc.readInt32LE(36),
    pgid: desc.readInt32LE(40),
    sid: desc.readInt32LE(44),
    signal: desc.readInt16LE(12),
    sigpend: desc.readBigUInt64LE(16),
    sighold: desc.readBigUInt64LE(24),
    registers: Buffer.from(desc.subarray(REGISTERS_AT, REGISTERS_AT + REGISTERS_BYTES)),
  };
}
