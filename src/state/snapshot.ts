/** A file as it was at the checkpoint, kept in the core whole (`--files snapshot`) and put back with the program. */
import { u64, z } from "./schema.js";

export const snapshotSchema = z.object({
  path: z.string(),
  /** st_mode, owner and modification time; all 0 for a file that was not there. */
  mode: z.int().nonnegative(),
  uid: z.int().nonnegative(),
  gid: z.int().nonnegative(),
  mtimeNs: u64,
  /** Its bytes: page-aligned offset in the core, and CRC32C of each `RUN_BYTES_MAX`; null: it was not there. */
  content: z.object({ fileOffset: z.int(), lengthBytes: z.int(), crc32c: z.array(z.int()) }).nullable(),
});
export type Snapshot = z.infer<typeof snapshotSchema>;
