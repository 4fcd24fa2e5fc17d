/**
 * Descriptors and the open file descriptions behind them (open(2)): descriptors that are duplicates of one
 * another share one description, hence one offset.
 */
import { kernelObjectSchema, lockSchema, ownerSchema } from "./kernel-object.js";
import { u64, z } from "./schema.js";
import { segmentSchema } from "./segment.js";
import { snapshotSchema } from "./snapshot.js";
import { sysvIpcSchema } from "./sysv-ipc.js";

export const fileDescriptionSchema = z.object({
  id: z.int().nonnegative(),
  /**
   * `outside`: a terminal, pipe or socket whose other end is not in the checkpoint; `path`: opened with O_PATH;
   * `kernel`: a file of /proc or /sys.
   */
  kind: z.enum([
    ...(["regular", "directory", "device", "terminal", "outside", "epoll", "path", "kernel"] as const),
    ...(["pipe", "eventfd", "timerfd", "signalfd", "inotify", "memfd", "pty", "socket", "queue"] as const),
  ]),
  /** Link of /proc/PID/fd/N, without ` (deleted)`. */
  path: z.string(),
  deleted: z.boolean(),
  /** Flags of open(2) as fdinfo prints them (octal there), without O_CLOEXEC. */
  flags: z.int(),
  /** Offset in bytes. */
  position: u64,
  /** `major:minor` decimal and inode of the file, st_mode, device number of a device (`0:0` if none). */
  dev: z.string(),
  ino: u64,
  mode: z.int(),
  rdev: z.string(),
  uid: z.int(),
  gid: z.int(),
  sizeBytes: z.number(),
  mtimeNs: u64,
  /** Bytes of a deleted file, kept in the core: page-aligned offset, and CRC32C of each `RUN_BYTES_MAX`. */
  content: z.object({ fileOffset: z.int(), lengthBytes: z.int(), crc32c: z.array(z.int()) }).nullable(),
  /** In a process tree: the member whose core keeps the bytes instead (tree.ts). */
  contentIn: z.int().positive().optional(),
  /** What an epoll instance watches (epoll_ctl(2)): descriptor, events, user data; null for other kinds. */
  watches: z.array(z.object({ fd: z.int().nonnegative(), events: z.int(), data: u64 })).nullable(),
  /** What is behind a descriptor that leads to no file, of the same kind. */
  object: kernelObjectSchema.nullable().default(null),
  owner: ownerSchema.nullable().default(null),
  locks: z.array(lockSchema).default([]),
});
export type FileDescription = z.infer<typeof fileDescriptionSchema>;

export const descriptorSchema = z.object({
  fd: z.int().nonnegative(),
  /** `id` of its description. */
  description: z.int().nonnegative(),
  cloexec: z.boolean(),
});
export type Descriptor = z.infer<typeof descriptorSchema>;

/**
 * A file that no name leads to and that mappings hold: a memfd or a deleted file, once for each way it is open (`flags`).
 * It has an id of its own; what its shared mappings show stands in their pages, the rest in `content`.
 */
export const mappedFileSchema = z.object({
  /** Where its mappings start. */
  starts: z.array(u64).readonly(),
  file: fileDescriptionSchema,
});
export type MappedFile = z.infer<typeof mappedFileSchema>;

/** Note RECORE/FILES. */
export const filesSchema = z.object({
  descriptions: z.array(fileDescriptionSchema),
  descriptors: z.array(descriptorSchema),
  /** Files that are put back whole; none without `--files snapshot`. */
  snapshots: z.array(snapshotSchema).readonly().optional(),
  /** Files without a name behind mappings, and System V segments. */
  mapped: z.array(mappedFileSchema).readonly().optional(),
  segments: z.array(segmentSchema).readonly().optional(),
  /** Semaphores and message queues of System V; none in older cores. */
  ipc: sysvIpcSchema.optional(),
});
export type FileState = z.infer<typeof filesSchema>;
