/**
 * Which memory is in the core. A run is a page-aligned range of one VMA whose bytes stand in the core file,
 * one after the other, at a page-aligned offset; all-zero pages inside are holes of the file.
 * Pages of a VMA in no run: zero if the VMA is anonymous, the file's own bytes if it maps a file.
 * In cores of others offsets are not page-aligned, and a run may end inside a page, whose rest is then zero.
 */
import type { Address } from "./address.js";
import { u64, z } from "./schema.js";

export { RUN_BYTES_MAX } from "./address.js";

export const runSchema = z.object({
  address: u64,
  lengthBytes: z.int().positive(),
  /** Where the run stands in the core file, in bytes. */
  fileOffset: z.int().nonnegative(),
  /** CRC32C of the run's bytes (holes count as zeros). */
  crc32c: z.int().nonnegative(),
  /** True when the bytes are those of the mapped file itself (ELF headers, --self-contained): a debugger wants
   * them, a restore can take them from the file. */
  sameAsFile: z.boolean(),
});
export type PageRun = z.infer<typeof runSchema>;

/** Note RECORE/PAGES. Runs are in order of address and do not overlap. Compact: five values a run. */
export const pagesSchema = z.object({
  runs: z.array(z.tuple([u64, z.int(), z.int(), z.int(), z.int()])).transform((rows) =>
    rows.map(
      ([address, lengthBytes, fileOffset, crc32c, same]): PageRun => ({
        address,
        lengthBytes,
        fileOffset,
        crc32c,
        sameAsFile: same === 1,
      }),
    ),
  ),
});

/** A range of a tracee's memory and where it belongs in a file; what bulk copies work on. */
export interface CopyRange {
  readonly address: Address;
  readonly lengthBytes: number;
  readonly fileOffset: number;
}
