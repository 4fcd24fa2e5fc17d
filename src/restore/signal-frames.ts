/**
 * Signal frames on a recorded stack (struct rt_sigframe of arch/x86/include/asm/sigframe.h): where a thread goes on
 * when its handlers return. A frame begins with the address of the restorer that the handler was set with.
 */
import type { ReadMemory } from "../core/core-memory.js";
import type { Address } from "../state/address.js";
import type { ProcessState } from "../state/process.js";
import { getRegister } from "../state/registers.js";
import type { ThreadState } from "../state/thread.js";

/** From the start of a frame to the saved instruction pointer: pretcode, uc_flags, uc_link, uc_stack, 16 registers. */
const RIP_AT = 8 + 8 + 8 + 24 + 16 * 8;
const PAGE = 0x1000n;
/** Deeper stacks are searched so far: frames of handlers are near the top. */
const SEARCH_BYTES_MAX = 1n << 20n;

interface Recorded {
  readonly state: ProcessState;
  readonly memory: ReadMemory;
  readonly range: { readonly start: Address; readonly end: Address };
}

/** Whether a handler that the thread is in has interrupted code in the range. */
export function interruptedInside(
  { registers }: Pick<ThreadState, "registers">,
  { state, memory, range }: Recorded,
): boolean {
  const restorers = new Set(state.signals.actions.map(({ restorer }) => restorer));
  restorers.delete(0n);
  const rsp = getRegister(registers, "rsp");
  const stack = state.vmas.find(({ start, end }) => rsp >= start && rsp < end);
  if (stack === undefined || restorers.size === 0) return false;
  const stop = stack.end - rsp > SEARCH_BYTES_MAX ? rsp + SEARCH_BYTES_MAX : stack.end;
  // A frame may reach into the next page.
  for (let page = rsp & ~(PAGE - 1n); page < stop; page += PAGE) {
    const two = memory(page, 2 * Number(PAGE)) ?? memory(page, Number(PAGE));
    if (two === null) continue;
    const first = page < rsp ? Number((rsp - page + 7n) & ~7n) : 0;
    for (let at = first; at < Number(PAGE) && at + RIP_AT + 8 <= two.length; at += 8) {
      if (!restorers.has(two.readBigUInt64LE(at))) continue;
      const rip = two.readBigUInt64LE(at + RIP_AT);
      if (rip >= range.start && rip < range.end) return true;
    }
  }
  return false;
}
