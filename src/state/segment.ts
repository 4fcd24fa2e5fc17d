/** A System V shared memory segment that is attached (shmget(2), shmat(2)). */
import { u64, z } from "./schema.js";

export const segmentSchema = z.object({
  id: z.int().nonnegative(),
  /** Key of shmget(2), 0 for IPC_PRIVATE and for one that is marked for removal. */
  key: z.int(),
  sizeBytes: z.int().nonnegative(),
  /** The nine bits of permission. */
  mode: z.int().nonnegative(),
  uid: z.int().nonnegative(),
  gid: z.int().nonnegative(),
  /** Marked for removal (IPC_RMID), and locked in memory (SHM_LOCK). */
  removed: z.boolean(),
  locked: z.boolean(),
  /** Where its mappings start. */
  starts: z.array(u64).readonly(),
  /** What none of its mappings shows; null when they show all of it. */
  content: z.object({ fileOffset: z.int(), lengthBytes: z.int(), crc32c: z.array(z.int()) }).nullable(),
});
export type Segment = z.infer<typeof segmentSchema>;
