/**
 * On which memory nodes single mappings are to lie (mbind(2)). The kernel counts every page of a process that is looked at
 * from outside, so a large one is asked itself in its stop, mapping by mapping: few have a policy of their own, and what
 * that is is read once the process runs again. Of others they are read before the stop: they steer where pages come from,
 * not what is in them.
 */
import { isErrno } from "../errors.js";
import type { ThreadState } from "../state/thread.js";
import type { Vma } from "../state/vma.js";
import type { CountedList } from "../tracee/counted-list.js";
import { beginPolicies, type MemoryPolicy, readPolicies } from "../tracee/numa-maps.js";
import { ASKED_MAX, NONE, type Policies } from "./asked-policies.js";
import { type Look, type TreeLook, unlessEnded } from "./look.js";

/** By member: null for one that has just ended; none for one that is to be asked. */
export type PoliciesOf = ReadonlyMap<number, Policies | null>;

/** Memory of a process (VmRSS of proc_pid_status(5)) that takes longer to count than a process of few mappings to ask, in KiB. */
const ASKED_KIB_MIN = 512 << 10;

function isAsked({ facts: { vmas, status } }: Look): boolean {
  return vmas.length <= ASKED_MAX && Number.parseInt(status.get("VmRSS") ?? "0", 10) >= ASKED_KIB_MIN;
}

/** Policies of the members of a tree, of which those that take long are read while something else is done. */
export class PolicyLists implements Disposable {
  readonly #look: TreeLook;
  readonly #lists = new Map<number, CountedList>();

  constructor(look: TreeLook) {
    this.#look = look;
  }

  /** Those of a member are read from now on, which is not to be stopped before `wait`: what cr does in a stop would take longer. */
  begin(pid: number): void {
    const look = this.#look.looks.get(pid);
    if (look === undefined || isAsked(look) || this.#lists.has(pid)) return;
    this.#lists.set(pid, beginPolicies(pid, look.facts.vmas));
  }

  wait(pid: number): void {
    this.#lists.get(pid)?.wait();
  }

  /** All of them but of those that are to be asked, as of some time since. Throws as `unlessEnded`. */
  read(): PoliciesOf {
    const { relatives, looks } = this.#look;
    const root = relatives[0]?.pid ?? 0;
    const read = (pid: number) => () => readPolicies(pid, this.#lists.get(pid));
    const members = [...looks].filter(([, look]) => !isAsked(look));
    return new Map(members.map(([pid]) => [pid, unlessEnded(pid, { root, look: read(pid) })]));
  }

  [Symbol.dispose](): void {
    for (const list of this.#lists.values()) list[Symbol.dispose]();
  }
}

/** Policies of now; none of a process that has ended. */
export function policiesNow(pid: number): Policies {
  try {
    return readPolicies(pid);
  } catch (error) {
    if (isErrno(error, "ESRCH")) return NONE;
    throw error;
  }
}

/** Mappings with their policies; those that show the main thread's own are taken to have none. */
export function withPolicies(vmas: Vma[], policies: Policies, [main]: readonly ThreadState[]): Vma[] {
  if (policies.size === 0) return vmas;
  const own = main?.settings?.memoryPolicy;
  const policyOf = (vma: Vma): MemoryPolicy | undefined => {
    const policy = vma.kind === "special" ? undefined : policies.get(vma.start);
    const isOwn = policy?.mode === own?.mode && own !== undefined && policy?.nodes.equals(own.nodes);
    return isOwn ? undefined : policy;
  };
  return vmas.map((vma) => {
    const policy = policyOf(vma);
    return policy === undefined ? vma : { ...vma, policy };
  });
}
