/**
 * Spaces: the namespaces of a process that are not those of cr (namespaces(7)), each with what makes an equal one. All
 * members of a tree that are in one namespace have its number in `id`, which means nothing beyond that.
 */
import { bytes, flag, int, natural, positive, text, u64, z } from "./schema.js";

const id = text;

/** Files below /proc/sys that belong to the namespace, and what they hold. */
const settings = z.array(z.object({ name: text, value: text }));

/** Rows of /proc/PID/uid_map: first id inside, first id outside, how many. */
const map = z.array(z.tuple([natural, natural, positive]));

/** A file or folder of a tmpfs; `path` begins behind its place, and is empty for its own folder. */
export const entrySchema = z.object({
  path: text.check(z.regex(/^(?:\/(?!\.{1,2}(?:\/|$))[^/\0]+)*$/)),
  type: z.enum(["folder", "file", "link", "fifo", "socket"]),
  mode: int,
  uid: int,
  gid: int,
  mtimeNs: u64,
  /** Content of a file, or where a link leads. */
  content: z.optional(bytes),
});
export type Entry = z.infer<typeof entrySchema>;

/** One mount (mount(2)), by names of any bytes, one character each (Latin-1). */
export const mountSchema = z.object({
  at: text,
  /** `bind` of what is at `from` outside, `again` of what is at `from` inside; else a file system of its own. */
  kind: z.enum(["bind", "again", "tmpfs", "proc", "devpts"]),
  from: text,
  /** Options of the mount, and of a file system of its own, between commas. */
  options: text,
  data: text,
  /** Hears of mounts outside. */
  slave: flag,
  /** What is in a tmpfs, folders before what they hold. */
  entries: z.optional(z.array(entrySchema)),
});
export type OwnMount = z.infer<typeof mountSchema>;

export const spacesSchema = z.object({
  /** Names of any bytes, one character each (Latin-1). */
  uts: z.optional(z.object({ id, hostname: text, domainname: text })),
  ipc: z.optional(z.object({ id, settings })),
  /** With no interface but the loopback one. */
  net: z.optional(z.object({ id, loopbackUp: flag, settings })),
  /**
   * The mounts of cr, and how they hear of one another (mount_namespaces(7)); `proc`: another /proc on top. Or, with
   * `mounts`, exactly these: what is above others comes after them.
   */
  mnt: z.optional(
    z.object({
      id,
      propagation: z.enum(["private", "slave", "unchanged"]),
      proc: flag,
      mounts: z.optional(z.array(mountSchema)),
    }),
  ),
  /** What /proc/PID/cgroup names in there begins where its maker was. */
  cgroup: z.optional(z.object({ id })),
  /** That of the root's children: ids outside, which stand everywhere else, and inside, of all processes and own threads. */
  pid: z.optional(z.object({ id, ids: z.array(z.tuple([positive, positive])) })),
  /** The root of the tree is in none of them, and made that of pids for its one child only (clone(2)). */
  rootOutside: z.optional(flag),
  user: z.optional(z.object({ id, uids: map, gids: map, setgroups: flag })),
});
export type Spaces = z.infer<typeof spacesSchema>;
