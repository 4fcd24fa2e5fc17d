/**
 * System V semaphores and message queues that a program uses (sysvipc(7)). Nothing of a process leads to them: the pids
 * of their last users do, and are recorded as pids of the checkpoint, 0 for everybody else.
 */
import { bytes, int, natural, u64, z } from "./schema.js";

const object = {
  id: natural,
  /** Of semget(2) or msgget(2), 0 for IPC_PRIVATE. */
  key: int,
  /** The nine bits of permission. */
  mode: natural,
  uid: natural,
  gid: natural,
};

export const semaphoresSchema = z.object({
  ...object,
  values: z.readonly(z.array(natural)),
  /** Who was the last to change each. */
  users: z.readonly(z.array(natural)),
});
export type Semaphores = z.infer<typeof semaphoresSchema>;

export const queueSchema = z.object({
  ...object,
  /** The most that may wait in it, in bytes. */
  limitBytes: natural,
  /** Who was the last to send and to receive. */
  sender: natural,
  receiver: natural,
  /** In their order. */
  messages: z.readonly(z.array(z.object({ type: u64, bytes }))),
});
export type Queue = z.infer<typeof queueSchema>;

/** In the core of a lone process, or of the root of a tree. */
export const sysvIpcSchema = z.object({
  semaphores: z.readonly(z.array(semaphoresSchema)),
  queues: z.readonly(z.array(queueSchema)),
});
export type SysvIpc = z.infer<typeof sysvIpcSchema>;
