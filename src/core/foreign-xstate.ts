/**
 * Vector state in cores of gdb: gdb writes the XSAVE area in Intel's order of components, whatever the CPU's own
 * is (seen with 13.1 on a CPU whose area has 2,432 bytes: it wrote 2,688). Only x87, SSE and AVX stand at the
 * same place everywhere (Intel SDM volume 1, 13.4).
 */

/** XSTATE_BV, the mask of components in use: first word behind the legacy area. */
const XSTATE_BV_AT = 512;
/** Legacy area 512, header 64, AVX 256 bytes. */
const FIXED_BYTES = 832;
const FIXED_COMPONENTS = 0b111n;

/** The components that a thread's XSAVE area says are in use. */
export function componentsIn(xstate: Buffer): bigint {
  return xstate.length >= XSTATE_BV_AT + 8 ? xstate.readBigUInt64LE(XSTATE_BV_AT) : 0n;
}

/**
 * An XSAVE area of another tool as this CPU takes it (`lengthBytes` long). With another length its order is
 * another, so what has no fixed place goes back to its initial state.
 */
export function fitForeignXstate(xstate: Buffer, lengthBytes: number): Buffer {
  if (xstate.length === lengthBytes || xstate.length === 0) return xstate;
  const fitted = Buffer.alloc(lengthBytes);
  xstate.copy(fitted, 0, 0, Math.min(FIXED_BYTES, lengthBytes));
  fitted.writeBigUInt64LE(componentsIn(xstate) & FIXED_COMPONENTS, XSTATE_BV_AT);
  return fitted;
}
