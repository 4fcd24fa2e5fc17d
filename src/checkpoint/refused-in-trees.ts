/** What a lone process may have and a member of a tree may not. */
import { hex } from "../state/address.js";
import { isNameless, isSegment } from "../state/object-mapping.js";
import type { Vma } from "../state/vma.js";
import type { ProcessFacts } from "../tracee/process-facts.js";
import type { Refusal } from "./refusal.js";

/** Whose processes have two numbers each. */
export function refusedApart({ status }: ProcessFacts): Refusal[] {
  const isApart = (status.get("NSpid") ?? "").split(/\s+/).length > 1;
  return isApart
    ? [{ kind: "namespace", id: "pid", what: "a process tree in a pid namespace of its own" }]
    : [];
}

/** Each member shows another part of what cr may not open. */
export function refusedInTree(vmas: readonly Vma[]): Refusal[] {
  return vmas
    .filter((vma) => isNameless(vma) && vma.file === null && !isSegment(vma))
    .map(({ start, path }) => {
      const what = `${path}, mapped in a process tree, that cr may not open (CAP_CHECKPOINT_RESTORE)`;
      return { kind: "mapping", id: hex(start), what };
    });
}
