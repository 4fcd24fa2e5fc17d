/** What /proc shows of mappings but not enough of: told as soft errors. */
import { hex } from "../state/address.js";
import type { SoftError } from "../state/soft-error.js";
import type { Vma } from "../state/vma.js";

/** VmFlags that are carried, follow from what is, or are refused (proc_pid_smaps(5), show_smap_vma_flags()). */
const KNOWN = new Set(
  (
    "rd wr ex sh mr mw me ms gd pf lo io sr rr dc de ac nr ht sf wf dd sd mm hg nh mg gu lf " +
    "um uw ui ss sl dp bt ar"
  ).split(" "),
);

/** Flags of a later kernel, and whether memory that is mapped later is to be locked. */
export function lostOfMappings(vmas: readonly Vma[]): SoftError[] {
  return [...unknownFlags(vmas), ...futureLocks(vmas)];
}

function unknownFlags(vmas: readonly Vma[]): SoftError[] {
  const first = new Map<string, Vma>();
  for (const vma of vmas.filter(({ kind }) => kind !== "special")) {
    for (const flag of vma.flags) if (!KNOWN.has(flag) && !first.has(flag)) first.set(flag, vma);
  }
  return [...first].map(([flag, { start }]) => ({
    kind: "mapping",
    id: hex(start),
    message: `the mapping has the flag ${flag}, which this version does not know and does not restore`,
  }));
}

/** mlockall(2): only that all memory is locked can be seen. */
function futureLocks(vmas: readonly Vma[]): SoftError[] {
  const own = vmas.filter(({ kind }) => kind !== "special");
  if (own.length === 0 || !own.every(({ flags }) => flags.includes("lo"))) return [];
  const message =
    "all memory is locked; whether memory that is mapped later is to be locked too (mlockall, MCL_FUTURE) is not shown by the kernel and not restored";
  return [{ kind: "mapping", id: "", message }];
}
