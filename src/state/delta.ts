/**
 * A core that holds only what changed: which earlier cores of the same process hold the rest, and where. Pages of a
 * mapping that are in no run and are not inherited are absent, as in any other core.
 */
import { u64, z } from "./schema.js";

/** An earlier core, and what tells that it is still the one that was meant. */
export const ancestorSchema = z.object({
  /** Its file name, looked for beside the delta first, and its full path at the checkpoint. */
  name: z.string().regex(/^[^/\0]+$/),
  path: z.string().regex(/^\/[^\0]*$/),
  /** The digits of its note CHECKSUM, which covers the checksums of all its pages; and when it was taken (HOST). */
  checksum: z.string().regex(/^[0-9a-f]{8}$/),
  takenMs: z.number(),
});
export type Ancestor = z.infer<typeof ancestorSchema>;

/** Pages that stand in an ancestor, where it is plain: at a place of its own numbering where it is compressed. */
export interface InheritedRun {
  readonly address: bigint;
  readonly lengthBytes: number;
  /** Number in `ancestors`. */
  readonly ancestor: number;
  readonly fileOffset: number;
  readonly crc32c: number;
}

/** Note RECORE/DELTA. Runs are in order of address and overlap neither one another nor the core's own. */
export const deltaSchema = z.object({
  /** The parent first, then its parent, down to a whole core. */
  ancestors: z.array(ancestorSchema).min(1).readonly(),
  inherited: z
    .array(
      z.tuple([u64, z.int().positive(), z.int().nonnegative(), z.int().positive(), z.int().nonnegative()]),
    )
    .transform((rows): readonly InheritedRun[] =>
      rows.map(([address, lengthBytes, ancestor, fileOffset, crc32c]) => ({
        address,
        lengthBytes,
        ancestor,
        fileOffset,
        crc32c,
      })),
    ),
});
export type Delta = z.infer<typeof deltaSchema>;
