/** Memory policies (mbind(2)) that a process tells itself, mapping by mapping: quicker than to have its pages counted. */
import type { Address } from "../state/address.js";
import type { Vma } from "../state/vma.js";
import type { MemoryPolicy } from "../tracee/numa-maps.js";
import type { RemoteCall } from "../tracee/remote.js";

/** By the start of a mapping, where it has one of its own. */
export type Policies = ReadonlyMap<Address, MemoryPolicy>;

export const NONE: Policies = new Map();

/** Mappings that are asked for, at most: each costs the stop 15 us. */
export const ASKED_MAX = 64;
/** MPOL_F_ADDR of get_mempolicy(2). */
const BY_ADDRESS = 2;
const MODE_BYTES = 4;
const ENOSYS = 38n;

/** Bytes for the results of `policyCalls`. */
export const POLICIES_BYTES = ASKED_MAX * MODE_BYTES;

/** The calls that ask for the mode of each mapping, with results in memory at `at`; none where there are too many. */
export function policyCalls(vmas: readonly Vma[], at: Address): RemoteCall[] {
  const asked = vmas.filter(({ kind }) => kind !== "special");
  if (asked.length > ASKED_MAX) return [];
  return asked.map(({ start }, index) => ({
    name: "get_mempolicy",
    args: [at + BigInt(index * MODE_BYTES), 0, 0, start, BY_ADDRESS],
  }));
}

/** What their results say: no policies, or null where there are some, or where nothing was asked. */
export function decodePolicies(results: readonly bigint[], scratch: Buffer): Policies | null {
  const isDefault = (result: bigint, index: number) =>
    result === -ENOSYS || (result === 0n && scratch.readInt32LE(index * MODE_BYTES) === 0);
  return results.length > 0 && results.every(isDefault) ? NONE : null;
}
