/**
 * A system call that the checkpoint found in progress, made ready to be issued again in a new process. Most are
 * restarted by the kernel from the registers alone; calls that kept the time left in the kernel (restart_syscall(2))
 * have lost it with the old process and start again, sleeps with what was left where the program can be told.
 */
import { getRegister, type RegisterName, withRegisters } from "../state/registers.js";

const ERESTARTNOHAND = -514n;
const ERESTART_RESTARTBLOCK = -516n;
const NANOSLEEP = 35n;
const CLOCK_NANOSLEEP = 230n;

/**
 * Registers for the new process. ERESTART_RESTARTBLOCK becomes ERESTARTNOHAND: again the same call, but EINTR if a
 * handler runs first, as before. A stopped relative sleep has written the time left through its last argument
 * (nanosleep(2)); with that as its request it sleeps only for the rest.
 */
export function restartable(registers: Buffer): Buffer {
  if (BigInt.asIntN(64, getRegister(registers, "rax")) !== ERESTART_RESTARTBLOCK) return registers;
  const call = getRegister(registers, "orig_rax");
  const left = timeLeft(registers, call);
  return withRegisters(registers, { rax: ERESTARTNOHAND, ...left });
}

function timeLeft(registers: Buffer, call: bigint): Partial<Record<RegisterName, bigint>> {
  if (call === NANOSLEEP && getRegister(registers, "rsi") !== 0n) {
    return { rdi: getRegister(registers, "rsi") };
  }
  const relative = call === CLOCK_NANOSLEEP && getRegister(registers, "rsi") === 0n;
  if (relative && getRegister(registers, "r10") !== 0n) return { rdx: getRegister(registers, "r10") };
  return {};
}
