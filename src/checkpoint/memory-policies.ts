/**
 * On which memory nodes single mappings are to lie (mbind(2)). Reading it walks all page tables, so it is done before
 * the stop, unlike everything else: it steers where pages come from, not what is in them.
 */
import type { Address } from "../state/address.js";
import type { Vma } from "../state/vma.js";
import type { MemoryPolicy } from "../tracee/numa-maps.js";
import type { CapturedState } from "./capture.js";

/** The state with the policies of its mappings; those that show the main thread's own are taken to have none. */
export function withPolicies(
  state: CapturedState,
  policies: ReadonlyMap<Address, MemoryPolicy>,
): CapturedState {
  if (policies.size === 0) return state;
  const own = state.threads[0]?.settings?.memoryPolicy;
  const policyOf = (vma: Vma): MemoryPolicy | undefined => {
    const policy = vma.kind === "special" ? undefined : policies.get(vma.start);
    const isOwn = policy?.mode === own?.mode && own !== undefined && policy?.nodes.equals(own.nodes);
    return isOwn ? undefined : policy;
  };
  return {
    ...state,
    vmas: state.vmas.map((vma) => {
      const policy = policyOf(vma);
      return policy === undefined ? vma : { ...vma, policy };
    }),
  };
}
