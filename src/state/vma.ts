/** A mapping of the tracee (VMA): one line of /proc/PID/smaps with what is needed to make it again. */
import { bytes, flag, int, positive, text, u64, z } from "./schema.js";

export const vmaSchema = z.object({
  start: u64,
  end: u64,
  /** `rwxp` as in /proc/PID/maps; the last letter is `p` (private) or `s` (shared). */
  prot: text.check(z.regex(/^[r-][w-][x-][ps]$/)),
  /** Offset in the file in bytes. */
  offset: u64,
  /** Name after the inode in maps: a path, `[heap]`, `[stack]`, `[vdso]`, … or empty. Without ` (deleted)`. */
  path: text,
  deleted: flag,
  /** `major:minor` in hex as maps prints it, `00:00` for none. */
  dev: text,
  ino: u64,
  /** VmFlags of smaps (proc_pid_smaps(5)): `rd`, `wr`, `gd`, `hg`, …; empty for cores of others. */
  flags: z.array(text),
  /** What backs it: `special` is a `[v*]` mapping of the kernel's. */
  kind: z.enum(["anonymous", "shared-anonymous", "file", "shared-file", "special"]),
  /** The backing file as it was, for file kinds; null when unknown or none. */
  file: z.nullable(
    z.object({
      sizeBytes: z.number(),
      mtimeNs: u64,
      buildId: z.nullable(text),
      /** Of one that is mapped shared: st_mode and whose it is, to make it again; left out in older cores. */
      owner: z.optional(z.object({ mode: int, uid: int, gid: int })),
    }),
  ),
  /** Guard regions inside (MADV_GUARD_INSTALL), as [start, end). */
  guards: z.array(z.tuple([u64, u64])),
  /** Size of its pages in bytes where they come from hugetlbfs (MAP_HUGETLB). */
  hugePageBytes: z.optional(positive),
  /** Where its pages are to lie, if that was set for it alone (mbind(2)): mode with its flags, mask of nodes. */
  policy: z.optional(z.object({ mode: int, nodes: bytes })),
  /** Protection key (pkeys(7)), left out when it is 0. */
  protectionKey: z.optional(int),
});
export type Vma = z.infer<typeof vmaSchema>;

/** Note RECORE/VMAS. */
export const vmasSchema = z.array(vmaSchema);

/** Note RECORE/MM: the bounds the kernel keeps (proc_pid_stat(5), PR_SET_MM_MAP of prctl(2)). */
export const mmSchema = z.object({
  startCode: u64,
  endCode: u64,
  startData: u64,
  endData: u64,
  startBrk: u64,
  brk: u64,
  startStack: u64,
  argStart: u64,
  argEnd: u64,
  envStart: u64,
  envEnd: u64,
});
export type MmBounds = z.infer<typeof mmSchema>;
