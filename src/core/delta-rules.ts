/** Whether what a delta inherits agrees with its mappings and its own pages (checked besides consistency.ts). */
import { hex, PAGE_BYTES, RUN_BYTES_MAX } from "../state/address.js";
import type { InheritedRun } from "../state/delta.js";
import type { ProcessState } from "../state/process.js";
import { badCore } from "./byte-source.js";
import { DATA_OFFSET } from "./layout.js";

const PAGE_MASK = BigInt(PAGE_BYTES - 1);

/** Refuses (BAD_CORE) inherited pages that are out of order, in no private memory, or stored as well. */
export function checkDelta({ delta, vmas, runs }: ProcessState, path: string): void {
  if (delta === undefined) return;
  let [vmaIndex, runIndex, end] = [0, 0, 0n];
  for (const one of delta.inherited) {
    const refuse = (what: string): never => {
      throw badCore(path, `the inherited pages at ${hex(one.address)} ${what}`);
    };
    const last = one.address + BigInt(one.lengthBytes);
    if (!isWhole(one)) refuse("are not whole pages at a whole page of a file");
    if (one.address < end) refuse("overlap those before them or are out of order");
    if (one.ancestor >= delta.ancestors.length) refuse("are in an ancestor that is not named");
    while (vmas[vmaIndex] !== undefined && (vmas[vmaIndex]?.end ?? 0n) <= one.address) vmaIndex += 1;
    const vma = vmas[vmaIndex];
    const isInside = vma !== undefined && one.address >= vma.start && last <= vma.end;
    if (!isInside || vma.kind !== "anonymous") refuse("are in no private memory");
    while (runs[runIndex] !== undefined && endOf(runs[runIndex]) <= one.address) runIndex += 1;
    if ((runs[runIndex]?.address ?? last) < last) refuse("are stored in the core as well");
    end = last;
  }
}

function endOf(run: ProcessState["runs"][number] | undefined): bigint {
  return run === undefined ? 0n : run.address + BigInt(run.lengthBytes);
}

function isWhole({ address, lengthBytes, fileOffset, crc32c }: InheritedRun): boolean {
  const isPages =
    (address & PAGE_MASK) === 0n && lengthBytes % PAGE_BYTES === 0 && lengthBytes <= RUN_BYTES_MAX;
  return isPages && fileOffset >= DATA_OFFSET && fileOffset % PAGE_BYTES === 0 && crc32c <= 0xffff_ffff;
}
