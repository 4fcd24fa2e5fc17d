/** Whether this host has the huge pages that the program had: they are set aside by the administrator. */
import { CrError } from "../errors.js";
import { freeHugePages, hugePagesFolder } from "../host/huge-pages.js";
import type { Vma } from "../state/vma.js";

/** Throws LIMIT_TOO_LOW, which names the size that is short. The kernel reserves all pages of a mapping when it is made. */
export function checkHugePages(
  vmas: readonly Vma[],
  freeOf: (bytes: number) => number = freeHugePages,
): void {
  const needed = new Map<number, number>();
  for (const { start, end, hugePageBytes: bytes } of vmas) {
    if (bytes !== undefined) needed.set(bytes, (needed.get(bytes) ?? 0) + Number(end - start) / bytes);
  }
  for (const [bytes, count] of needed) {
    const free = freeOf(bytes);
    if (free >= count) continue;
    const message = `restore the program: it had ${count} huge pages of ${bytes / 1024} KiB, ${free} are free here`;
    throw new CrError("LIMIT_TOO_LOW", message, {
      hint: `raise their number: echo N > ${hugePagesFolder(bytes)}/nr_hugepages (${count - free} more are needed)`,
      data: { bytes, count, free },
    });
  }
}
