/**
 * A core that holds only what changed: which earlier cores of the same process hold the rest, and where. Pages of a
 * mapping that are in no run and are not inherited are absent, as in any other core.
 */
import { decodeRunTable } from "./run-table.js";
import { bytes, digits, natural, positive, text, u64, z } from "./schema.js";

const NO_ROWS = Buffer.alloc(0);

/** An earlier core, and what tells that it is still the one that was meant. */
export const ancestorSchema = z.object({
  /** Its file name, looked for beside the delta first, and its full path at the checkpoint. */
  name: text.check(z.regex(/^[^/\0]+$/)),
  path: text.check(z.regex(/^\/[^\0]*$/)),
  /** The digits of its note CHECKSUM, which covers the checksums of all its pages; and when it was taken (HOST). */
  checksum: digits,
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

const rowsSchema = () =>
  z.pipe(
    z.array(z.tuple([u64, positive, natural, positive, natural])),
    z.transform((rows): InheritedRun[] =>
      rows.map(([address, lengthBytes, ancestor, fileOffset, crc32c]) => ({
        address,
        lengthBytes,
        ancestor,
        fileOffset,
        crc32c,
      })),
    ),
  );

/** Note RECORE/DELTA: runs in order of address that overlap neither one another nor the core's own; rows or a table. */
export const deltaSchema = z.lazy(() =>
  z.pipe(
    z.object({
      /** The parent first, then its parent, down to a whole core. */
      ancestors: z.readonly(z.array(ancestorSchema).check(z.minLength(1))),
      inherited: z.optional(rowsSchema()),
      table: z.optional(bytes),
    }),
    z.transform(({ ancestors, inherited: rows, table }, context) => {
      const tabled = decodeRunTable(table ?? NO_ROWS, (address, { tag: ancestor, ...row }) => ({
        address,
        ...row,
        ancestor,
      }));
      const isOne = (rows === undefined) !== (table === undefined);
      if (tabled === null || !isOne) {
        const message = "either rows of inherited pages or a table of them";
        context.issues.push({ code: "custom", input: table, path: ["table"], message });
      }
      const inherited: readonly InheritedRun[] = rows ?? tabled ?? [];
      return { ancestors, inherited };
    }),
  ),
);
export type Delta = z.infer<typeof deltaSchema>;
