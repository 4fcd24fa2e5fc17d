/** Huge pages of hugetlbfs that this host can still give (/sys/kernel/mm/hugepages, hugetlbpage.rst of the kernel). */
import { readSys } from "./sysfs.js";

/** Where the pages of this size are set, for hints. */
export function hugePagesFolder(bytes: number): `/sys/${string}` {
  return `/sys/kernel/mm/hugepages/hugepages-${bytes / 1024}kB`;
}

/** Pages of this size that nobody has or has reserved, those that may be made on demand included; 0 for a size there is not. */
export function freeHugePages(bytes: number): number {
  const read = (name: string) => Number(readSys(`${hugePagesFolder(bytes)}/${name}`) ?? "0");
  const onDemand = Math.max(0, read("nr_overcommit_hugepages") - read("surplus_hugepages"));
  return Math.max(0, read("free_hugepages") - read("resv_hugepages")) + onDemand;
}
