/**
 * Descriptors and the open file descriptions behind them (open(2)): descriptors that are duplicates of one
 * another share one description, hence one offset.
 */
import { kernelObjectSchema, lockSchema, ownerSchema } from "./kernel-object.js";
import { flag, int, natural, positive, text, u64, z } from "./schema.js";
import { segmentSchema } from "./segment.js";
import { snapshotSchema } from "./snapshot.js";
import { sysvIpcSchema } from "./sysv-ipc.js";

export const fileDescriptionSchema = z.object({
  id: natural,
  /**
   * `outside`: a terminal, pipe or socket whose other end is not in the checkpoint; `path`: opened with O_PATH;
   * `kernel`: a file of /proc or /sys.
   */
  kind: z.enum([
    ...(["regular", "directory", "device", "terminal", "outside", "epoll", "path", "kernel"] as const),
    ...(["pipe", "eventfd", "timerfd", "signalfd", "inotify", "memfd", "pty", "socket", "queue"] as const),
  ]),
  /** Link of /proc/PID/fd/N, without ` (deleted)`. */
  path: text,
  deleted: flag,
  /** Flags of open(2) as fdinfo prints them (octal there), without O_CLOEXEC. */
  flags: int,
  /** Offset in bytes. */
  position: u64,
  /** `major:minor` decimal and inode of the file, st_mode, device number of a device (`0:0` if none). */
  dev: text,
  ino: u64,
  mode: int,
  rdev: text,
  uid: int,
  gid: int,
  sizeBytes: z.number(),
  mtimeNs: u64,
  /** Bytes of a deleted file, kept in the core: page-aligned offset, and CRC32C of each `RUN_BYTES_MAX`. */
  content: z.nullable(z.object({ fileOffset: int, lengthBytes: int, crc32c: z.array(int) })),
  /** In a process tree: the member whose core keeps the bytes instead (tree.ts). */
  contentIn: z.optional(positive),
  /** What an epoll instance watches (epoll_ctl(2)): descriptor, events, user data; null for other kinds. */
  watches: z.nullable(z.array(z.object({ fd: natural, events: int, data: u64 }))),
  /** What is behind a descriptor that leads to no file, of the same kind. */
  object: z._default(z.nullable(kernelObjectSchema), null),
  owner: z._default(z.nullable(ownerSchema), null),
  locks: z._default(z.array(lockSchema), []),
});
export type FileDescription = z.infer<typeof fileDescriptionSchema>;

export const descriptorSchema = z.object({
  fd: natural,
  /** `id` of its description. */
  description: natural,
  cloexec: flag,
});
export type Descriptor = z.infer<typeof descriptorSchema>;

/**
 * A file that no name leads to and that mappings hold: a memfd or a deleted file, once for each way it is open (`flags`).
 * It has an id of its own; what its shared mappings show stands in their pages, the rest in `content`.
 */
export const mappedFileSchema = z.object({
  /** Where its mappings start. */
  starts: z.readonly(z.array(u64)),
  file: fileDescriptionSchema,
});
export type MappedFile = z.infer<typeof mappedFileSchema>;

/** Note RECORE/FILES. */
export const filesSchema = z.object({
  descriptions: z.array(fileDescriptionSchema),
  descriptors: z.array(descriptorSchema),
  /** Files that are put back whole; none without `--files snapshot`. */
  snapshots: z.optional(z.readonly(z.array(snapshotSchema))),
  /** Files without a name behind mappings, and System V segments. */
  mapped: z.optional(z.readonly(z.array(mappedFileSchema))),
  segments: z.optional(z.readonly(z.array(segmentSchema))),
  /** Semaphores and message queues of System V; none in older cores. */
  ipc: z.optional(sysvIpcSchema),
});
export type FileState = z.infer<typeof filesSchema>;
