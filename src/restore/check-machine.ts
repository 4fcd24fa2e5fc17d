/**
 * Whether this machine can run the program on: vector registers. The facts of the machine are passed in
 * (`cpuComponents` of the tracee side gives them).
 */
import { CrError } from "../errors.js";
import type { ProcessState } from "../state/process.js";

export interface Machine {
  /** XCR0: the xstate components that programs may use here. */
  readonly components: bigint;
}

/** Bits of XCR0 and xstate_bv (Intel SDM volume 1, 13.1; arch/x86/include/asm/fpu/types.h). */
const COMPONENT_NAMES: Readonly<Record<number, string>> = {
  0: "x87",
  1: "SSE",
  2: "AVX",
  3: "MPX bounds",
  4: "MPX bound configuration",
  5: "AVX-512 opmask",
  6: "AVX-512 ZMM_Hi256",
  7: "AVX-512 Hi16_ZMM",
  9: "PKRU",
  17: "AMX tile configuration",
  18: "AMX tile data",
  19: "APX",
};

/** xstate_bv, the first word of the XSAVE header, behind the 512 legacy bytes. */
const XSTATE_BV_OFFSET = 512;

/** Refuses what this machine cannot go on with: XSTATE_MISMATCH. */
export function checkMachine(state: ProcessState, machine: Machine): void {
  const missing = usedComponents(state) & ~machine.components;
  if (missing !== 0n) {
    const names = componentNames(missing);
    throw new CrError(
      "XSTATE_MISMATCH",
      `restore the program: it used ${names.join(", ")} registers, which this CPU or kernel does not offer`,
      { hint: "restore it on a machine whose CPU has them (grep flags /proc/cpuinfo)", data: { names } },
    );
  }
}

/** Names of the xstate components in a mask; a bit without a name is `component N`. */
export function componentNames(mask: bigint): string[] {
  const names: string[] = [];
  for (let bit = 0; mask >> BigInt(bit) > 0n; bit += 1) {
    if ((mask >> BigInt(bit)) & 1n) names.push(COMPONENT_NAMES[bit] ?? `component ${bit}`);
  }
  return names;
}

/** What the core says, and what its register sets hold (cores of others say nothing). */
function usedComponents(state: ProcessState): bigint {
  return state.threads.reduce(
    (mask, { xstate }) =>
      xstate.length >= XSTATE_BV_OFFSET + 8 ? mask | xstate.readBigUInt64LE(XSTATE_BV_OFFSET) : mask,
    state.host.xstateComponents,
  );
}
