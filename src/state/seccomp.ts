/**
 * seccomp filters as the kernel gives them (PTRACE_SECCOMP_GET_FILTER): classic BPF, 8 bytes an instruction, and what
 * one answers to a system call of which only number and architecture are known.
 */

const INSTRUCTION_BYTES = 8;
const AUDIT_ARCH_X86_64 = 0xc000_003en;
const STEPS_MAX = 4096;

/** Actions of seccomp(2), without their data. */
export const SECCOMP = {
  killProcess: 0x8000_0000,
  trap: 0x3_0000,
  errno: 0x5_0000,
  notify: 0x7fc0_0000,
  trace: 0x7ff0_0000,
  log: 0x7ffc_0000,
  allow: 0x7fff_0000,
} as const;

interface Machine {
  a: bigint;
  x: bigint;
  readonly memory: bigint[];
}

/** The action for a call; null when it depends on anything but number and architecture. */
export function seccompAction(filter: Buffer, call: number): number | null {
  const machine: Machine = { a: 0n, x: 0n, memory: Array(16).fill(0n) };
  let at = 0;
  for (let step = 0; step < STEPS_MAX; step += 1) {
    const offset = at * INSTRUCTION_BYTES;
    if (offset + INSTRUCTION_BYTES > filter.length) return null;
    const code = filter.readUInt16LE(offset);
    const k = BigInt(filter.readUInt32LE(offset + 4));
    if ((code & 7) === 6) return (Number((code & 0x18) === 0x10 ? machine.a : k) & ~0xffff) >>> 0;
    if ((code & 7) === 5) {
      at +=
        1 + jump(machine, { code, k, yes: filter.readUInt8(offset + 2), no: filter.readUInt8(offset + 3) });
    } else {
      if (!execute(machine, { code, k, call })) return null;
      at += 1;
    }
  }
  return null;
}

/** How many instructions are passed over (BPF_JMP). */
function jump(
  machine: Machine,
  { code, k, yes, no }: { code: number; k: bigint; yes: number; no: number },
): number {
  const other = (code & 8) === 0 ? k : machine.x;
  switch (code & 0xf0) {
    case 0x00:
      return Number(k);
    case 0x10:
      return machine.a === other ? yes : no;
    case 0x20:
      return machine.a > other ? yes : no;
    case 0x30:
      return machine.a >= other ? yes : no;
    default:
      return (machine.a & other) !== 0n ? yes : no;
  }
}

/** One instruction that is neither jump nor return; false for one whose result cannot be known. */
function execute(machine: Machine, { code, k, call }: { code: number; k: bigint; call: number }): boolean {
  const slot = Number(k & 15n);
  switch (code) {
    case 0x20: // BPF_LD | BPF_W | BPF_ABS: struct seccomp_data begins with number and architecture
      if (k !== 0n && k !== 4n) return false;
      machine.a = k === 0n ? BigInt(call) : AUDIT_ARCH_X86_64;
      return true;
    case 0x00:
      machine.a = k;
      return true;
    case 0x01:
      machine.x = k;
      return true;
    case 0x60:
      machine.a = machine.memory[slot] ?? 0n;
      return true;
    case 0x61:
      machine.x = machine.memory[slot] ?? 0n;
      return true;
    case 0x02:
      machine.memory[slot] = machine.a;
      return true;
    case 0x03:
      machine.memory[slot] = machine.x;
      return true;
    case 0x07:
      machine.x = machine.a;
      return true;
    case 0x87:
      machine.a = machine.x;
      return true;
    case 0x54: // BPF_ALU | BPF_AND | BPF_K: what libraries use to mask
      machine.a &= k;
      return true;
    default:
      return false;
  }
}

/** Whether a filter can hand calls to another process (SECCOMP_RET_USER_NOTIF), or returns what it computed. */
export function mayNotify(filter: Buffer): boolean {
  for (let offset = 0; offset + INSTRUCTION_BYTES <= filter.length; offset += INSTRUCTION_BYTES) {
    const code = filter.readUInt16LE(offset);
    if ((code & 7) !== 6) continue;
    if ((code & 0x18) === 0x10) return true;
    if ((filter.readUInt32LE(offset + 4) & ~0xffff) >>> 0 === SECCOMP.notify) return true;
  }
  return false;
}
