/**
 * On which memory nodes single mappings are to lie (mbind(2)). Reading it walks all page tables, so it is done before
 * the stop, unlike everything else, and beside the copy: it steers where pages come from, not what is in them.
 */
import type { Address } from "../state/address.js";
import type { Vma } from "../state/vma.js";
import type { CountedList } from "../tracee/counted-list.js";
import { beginPolicies, type MemoryPolicy, readPolicies } from "../tracee/numa-maps.js";
import type { CapturedState } from "./capture.js";
import { type TreeLook, unlessEnded } from "./look.js";

/** By member, and by the start of a mapping; null for a member that has just ended. */
export type PoliciesOf = ReadonlyMap<number, ReadonlyMap<Address, MemoryPolicy> | null>;

/** Policies of the members of a tree, of which those that take long are read while something else is done. */
export class PolicyLists implements Disposable {
  readonly #look: TreeLook;
  readonly #lists = new Map<number, CountedList>();

  constructor(look: TreeLook) {
    this.#look = look;
  }

  /** Those of a member are read from now on, which is not to be stopped before `wait`: what cr does in a stop would take longer. */
  begin(pid: number): void {
    const vmas = this.#look.looks.get(pid)?.facts.vmas ?? [];
    if (!this.#lists.has(pid)) this.#lists.set(pid, beginPolicies(pid, vmas));
  }

  wait(pid: number): void {
    this.#lists.get(pid)?.wait();
  }

  /** All of them, as of some time since. Throws as `unlessEnded`. */
  read(): PoliciesOf {
    const { relatives, looks } = this.#look;
    const root = relatives[0]?.pid ?? 0;
    const read = (pid: number) => () => readPolicies(pid, this.#lists.get(pid));
    return new Map([...looks.keys()].map((pid) => [pid, unlessEnded(pid, { root, look: read(pid) })]));
  }

  [Symbol.dispose](): void {
    for (const list of this.#lists.values()) list[Symbol.dispose]();
  }
}

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
