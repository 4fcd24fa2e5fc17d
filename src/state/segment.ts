/** A System V shared memory segment that is attached (shmget(2), shmat(2)). */
import { flag, int, natural, u64, z } from "./schema.js";

export const segmentSchema = z.object({
  id: natural,
  /** Key of shmget(2), 0 for IPC_PRIVATE and for one that is marked for removal. */
  key: int,
  sizeBytes: natural,
  /** The nine bits of permission. */
  mode: natural,
  uid: natural,
  gid: natural,
  /** Marked for removal (IPC_RMID), and locked in memory (SHM_LOCK). */
  removed: flag,
  locked: flag,
  /** Where its mappings start. */
  starts: z.readonly(z.array(u64)),
  /** What none of its mappings shows; null when they show all of it. */
  content: z.nullable(z.object({ fileOffset: int, lengthBytes: int, crc32c: z.array(int) })),
});
export type Segment = z.infer<typeof segmentSchema>;
