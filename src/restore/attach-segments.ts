/** System V segments in the newborn: attached whole at a free place, then put to their places part by part. */
import { isSegment, objectKey } from "../state/object-mapping.js";
import type { Vma } from "../state/vma.js";
import { readMappings } from "../tracee/maps.js";
import type { RemoteCall } from "../tracee/remote.js";
import { freeAddress, type Workshop } from "./workshop.js";

const SHM_RDONLY = 0o10000;
const MREMAP_MAYMOVE_FIXED = 3;

/**
 * Makes every mapping of a segment. A program may have unmapped, moved or protected parts of what shmat(2) gave it, so
 * each part is duplicated from the whole (mremap(2) with old size 0), which keeps the kernel's count of attachments.
 */
export function attachSegments(workshop: Workshop, vmas: readonly Vma[]): void {
  const groups = new Map<string, Vma[]>();
  for (const vma of vmas.filter(isSegment)) {
    const key = `${objectKey(vma)} ${isReadOnly(vma)}`;
    groups.set(key, [...(groups.get(key) ?? []), vma]);
  }
  for (const parts of groups.values()) attachOne(workshop, parts, vmas);
}

/** Attached read-only (SHM_RDONLY), it can never become writable. */
function isReadOnly({ flags }: Vma): boolean {
  return !flags.includes("mw");
}

function attachOne(workshop: Workshop, parts: readonly Vma[], vmas: readonly Vma[]): void {
  const [first] = parts;
  if (first === undefined) return;
  const ends = parts.map((vma) => Number(vma.offset + vma.end - vma.start));
  const size = Math.max(first.file?.sizeBytes ?? 0, ...ends);
  const whole = freeAddress([...vmas, ...readMappings(workshop.newborn.pid)], size);
  workshop.run("attach its System V segments", [
    { name: "shmat", args: [first.ino, whole, isReadOnly(first) ? SHM_RDONLY : 0] },
    ...parts.map((vma): RemoteCall => {
      const length = vma.end - vma.start;
      return { name: "mremap", args: [whole + vma.offset, 0, length, MREMAP_MAYMOVE_FIXED, vma.start] };
    }),
    { name: "shmdt", args: [whole] },
  ]);
  // They come with the protection of the whole.
  const wanted = isReadOnly(first) ? "r--s" : "rw-s";
  const other = parts.filter(({ prot }) => prot !== wanted);
  workshop.run(
    "protect its System V segments",
    other.map((vma): RemoteCall => ({ name: "mprotect", args: [vma.start, vma.end - vma.start, bits(vma)] })),
  );
}

function bits({ prot }: Vma): number {
  return (prot[0] === "r" ? 1 : 0) | (prot[1] === "w" ? 2 : 0) | (prot[2] === "x" ? 4 : 0);
}
