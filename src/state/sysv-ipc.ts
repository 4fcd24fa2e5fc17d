/**
 * System V semaphores and message queues that a program uses (sysvipc(7)). Nothing of a process leads to them: the pids
 * of their last users do, and are recorded as pids of the checkpoint, 0 for everybody else.
 */
import { bytes, u64, z } from "./schema.js";

const object = {
  id: z.int().nonnegative(),
  /** Of semget(2) or msgget(2), 0 for IPC_PRIVATE. */
  key: z.int(),
  /** The nine bits of permission. */
  mode: z.int().nonnegative(),
  uid: z.int().nonnegative(),
  gid: z.int().nonnegative(),
};

export const semaphoresSchema = z.object({
  ...object,
  values: z.array(z.int().nonnegative()).readonly(),
  /** Who was the last to change each. */
  users: z.array(z.int().nonnegative()).readonly(),
});
export type Semaphores = z.infer<typeof semaphoresSchema>;

export const queueSchema = z.object({
  ...object,
  /** The most that may wait in it, in bytes. */
  limitBytes: z.int().nonnegative(),
  /** Who was the last to send and to receive. */
  sender: z.int().nonnegative(),
  receiver: z.int().nonnegative(),
  /** In their order. */
  messages: z.array(z.object({ type: u64, bytes })).readonly(),
});
export type Queue = z.infer<typeof queueSchema>;

/** In the core of a lone process, or of the root of a tree. */
export const sysvIpcSchema = z.object({
  semaphores: z.array(semaphoresSchema).readonly(),
  queues: z.array(queueSchema).readonly(),
});
export type SysvIpc = z.infer<typeof sysvIpcSchema>;
