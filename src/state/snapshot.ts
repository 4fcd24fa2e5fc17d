/** A file as it was at the checkpoint, kept in the core whole (`--files snapshot`) and put back with the program. */
import { int, natural, text, u64, z } from "./schema.js";

export const snapshotSchema = z.object({
  path: text,
  /** st_mode, owner and modification time; all 0 for a file that was not there. */
  mode: natural,
  uid: natural,
  gid: natural,
  mtimeNs: u64,
  /** Its bytes: page-aligned offset in the core, and CRC32C of each `RUN_BYTES_MAX`; null: it was not there. */
  content: z.nullable(z.object({ fileOffset: int, lengthBytes: int, crc32c: z.array(int) })),
});
export type Snapshot = z.infer<typeof snapshotSchema>;
