/** `--skip` of a checkpoint: what a lone process is saved without. Of a tree nothing can be left out in this version. */
import { leaveOut, type Remaining } from "./leave-out.js";
import type { TreeLook } from "./look.js";

/** A look without what `skip` names, as `leaveOut`. */
export function leaveOutOfTree(
  look: TreeLook,
  skip: readonly string[],
): { readonly look: TreeLook; readonly leftOut: Remaining["leftOut"] } {
  const [[pid, only] = []] = look.looks;
  if (pid === undefined || only === undefined || look.relatives.length > 1) {
    const refusals = look.refusals.map(({ skip: _, ...refusal }) => refusal);
    return { look: { ...look, refusals }, leftOut: [] };
  }
  const rest = leaveOut({ ...only, refusals: look.refusals }, skip);
  return {
    look: { ...look, looks: new Map([[pid, rest.look]]), refusals: rest.look.refusals },
    leftOut: rest.leftOut,
  };
}
