/** General registers: struct user_regs_struct (sys/user.h), 27 64-bit words; names in the kernel's order. */
export const REGISTER_NAMES = [
  "r15", "r14", "r13", "r12", "rbp", "rbx", "r11", "r10", "r9", "r8", "rax", "rcx", "rdx", "rsi", "rdi",
  "orig_rax", "rip", "cs", "eflags", "rsp", "ss", "fs_base", "gs_base", "ds", "es", "fs", "gs",
] as const; // biome-ignore format: the kernel's order reads best in rows
export type RegisterName = (typeof REGISTER_NAMES)[number];

/** Size of the regset in bytes. */
export const REGISTERS_BYTES = REGISTER_NAMES.length * 8;

const OFFSETS = new Map<string, number>(REGISTER_NAMES.map((name, index) => [name, index * 8]));

/** One register as an unsigned 64-bit number. */
export function getRegister(registers: Buffer, name: RegisterName): bigint {
  return registers.readBigUInt64LE(OFFSETS.get(name));
}

/** A copy of the regset with some registers changed; values are taken modulo 2^64. */
export function withRegisters(registers: Buffer, changes: Partial<Record<RegisterName, bigint>>): Buffer {
  const copy = Buffer.from(registers);
  for (const [name, value] of Object.entries(changes)) {
    copy.writeBigUInt64LE(BigInt.asUintN(64, value), OFFSETS.get(name));
  }
  return copy;
}
