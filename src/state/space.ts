/**
 * Spaces: the namespaces of a process that are not those of cr (namespaces(7)), each with what makes an equal one. All
 * members of a tree that are in one namespace have its number in `id`, which means nothing beyond that.
 */
import { bytes, u64, z } from "./schema.js";

const id = z.string();

/** Files below /proc/sys that belong to the namespace, and what they hold. */
const settings = z.array(z.object({ name: z.string(), value: z.string() }));

/** Rows of /proc/PID/uid_map: first id inside, first id outside, how many. */
const map = z.array(z.tuple([z.int().nonnegative(), z.int().nonnegative(), z.int().positive()]));

/** A file or folder of a tmpfs; `path` begins behind its place, and is empty for its own folder. */
export const entrySchema = z.object({
  path: z.string().regex(/^(?:\/(?!\.{1,2}(?:\/|$))[^/\0]+)*$/),
  type: z.enum(["folder", "file", "link", "fifo", "socket"]),
  mode: z.int(),
  uid: z.int(),
  gid: z.int(),
  mtimeNs: u64,
  /** Content of a file, or where a link leads. */
  content: bytes.optional(),
});
export type Entry = z.infer<typeof entrySchema>;

/** One mount (mount(2)), by names of any bytes, one character each (Latin-1). */
export const mountSchema = z.object({
  at: z.string(),
  /** `bind` of what is at `from` outside, `again` of what is at `from` inside; else a file system of its own. */
  kind: z.enum(["bind", "again", "tmpfs", "proc", "devpts"]),
  from: z.string(),
  /** Options of the mount, and of a file system of its own, between commas. */
  options: z.string(),
  data: z.string(),
  /** Hears of mounts outside. */
  slave: z.boolean(),
  /** What is in a tmpfs, folders before what they hold. */
  entries: z.array(entrySchema).optional(),
});
export type OwnMount = z.infer<typeof mountSchema>;

export const spacesSchema = z.object({
  /** Names of any bytes, one character each (Latin-1). */
  uts: z.object({ id, hostname: z.string(), domainname: z.string() }).optional(),
  ipc: z.object({ id, settings }).optional(),
  /** With no interface but the loopback one. */
  net: z.object({ id, loopbackUp: z.boolean(), settings }).optional(),
  /**
   * The mounts of cr, and how they hear of one another (mount_namespaces(7)); `proc`: another /proc on top. Or, with
   * `mounts`, exactly these: what is above others comes after them.
   */
  mnt: z
    .object({
      id,
      propagation: z.enum(["private", "slave", "unchanged"]),
      proc: z.boolean(),
      mounts: z.array(mountSchema).optional(),
    })
    .optional(),
  /** What /proc/PID/cgroup names in there begins where its maker was. */
  cgroup: z.object({ id }).optional(),
  /** That of the root's children: ids outside, which stand everywhere else, and inside, of all processes and own threads. */
  pid: z.object({ id, ids: z.array(z.tuple([z.int().positive(), z.int().positive()])) }).optional(),
  /** The root of the tree is in none of them, and made that of pids for its one child only (clone(2)). */
  rootOutside: z.boolean().optional(),
  user: z.object({ id, uids: map, gids: map, setgroups: z.boolean() }).optional(),
});
export type Spaces = z.infer<typeof spacesSchema>;
