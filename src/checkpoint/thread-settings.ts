/**
 * What a thread alone is set to (prctl(2)) and /proc does not tell: asked in the batch of every thread, next to
 * interior.ts.
 */
import type { ThreadState } from "../state/thread.js";
import { tryOwnCall } from "../tracee/own-call.js";
import type { RemoteCall } from "../tracee/remote.js";

export type ThreadSettings = NonNullable<ThreadState["settings"]>;

const PR_GET_TSC = 25;
const PR_GET_SECUREBITS = 27;
const PR_MCE_KILL_GET = 34;
const PR_GET_SPECULATION_CTRL = 52;
/** The thread may set it (PR_SPEC_PRCTL); else it only says what the system does. */
const SETTABLE = 1;
/** Store bypass and indirect branch: disabled, for ever, or until the next exec; L1D flush: enabled (prctl(2)). */
const SPECULATION = [4 | 8 | 16, 4 | 8 | 16, 2];
const NODES = 1024;
const MODE_AT = 8;
const NODES_AT = 16;

/** Bytes for the results: the time stamp counter's setting, the memory policy and its nodes. */
export const THREAD_SETTINGS_BYTES = NODES_AT + NODES / 8;

/** The calls, with result buffers at `at`. */
export function threadSettingsCalls(at: bigint): RemoteCall[] {
  return [
    { name: "prctl", args: [PR_GET_TSC, at] },
    { name: "get_mempolicy", args: [at + BigInt(MODE_AT), at + BigInt(NODES_AT), NODES, 0, 0] },
    { name: "prctl", args: [PR_GET_SECUREBITS] },
    { name: "prctl", args: [PR_MCE_KILL_GET, 0, 0, 0, 0] },
    ...settable().map(
      (what): RemoteCall => ({ name: "prctl", args: [PR_GET_SPECULATION_CTRL, what, 0, 0, 0] }),
    ),
  ];
}

/** Decodes them; a kernel that does not know a setting has it off. `scratch` begins with the result buffers. */
export function decodeThreadSettings(
  results: readonly bigint[],
  scratch: Buffer,
): Omit<ThreadSettings, "noNewPrivs"> & { securebits: number } {
  const [tsc = -1n, policy = -1n, securebits = 0n, mceKill = -1n, ...speculation] = results;
  const nodes = scratch.subarray(NODES_AT, NODES_AT + NODES / 8);
  return {
    tsc: tsc < 0n ? 1 : scratch.readInt32LE(0),
    memoryPolicy:
      policy < 0n
        ? { mode: 0, nodes: Buffer.alloc(0) }
        : { mode: scratch.readInt32LE(MODE_AT), nodes: shortened(nodes) },
    securebits: Number(securebits < 0n ? 0n : securebits),
    mceKill: mceKill < 0n ? 2 : Number(mceKill),
    speculation: SPECULATION.map((set, what) => {
      const value = Number(speculation[settable().indexOf(what)] ?? -1n);
      return value < 0 || (value & SETTABLE) === 0 ? 0 : value & set;
    }),
  };
}

let known: readonly number[] | null = null;

/** What a thread may set for itself on this machine: it goes with the machine alone, so cr asks it of itself. */
function settable(): readonly number[] {
  known ??= SPECULATION.map((_, what) => what).filter((what) => {
    const value = tryOwnCall("prctl", PR_GET_SPECULATION_CTRL, what, 0, 0, 0);
    return value > 0 && (value & SETTABLE) !== 0;
  });
  return known;
}

/** Whole words up to the last node that is set. */
function shortened(nodes: Buffer): Buffer {
  const last = nodes.findLastIndex((byte) => byte !== 0);
  return Buffer.from(nodes.subarray(0, Math.ceil((last + 1) / 8) * 8));
}
