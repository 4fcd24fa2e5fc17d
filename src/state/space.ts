/**
 * Spaces: the namespaces of a process that are not those of cr (namespaces(7)), each with what makes an equal one. All
 * members of a tree that are in one namespace have its number in `id`, which means nothing beyond that.
 */
import { z } from "./schema.js";

const id = z.string();

/** Files below /proc/sys that belong to the namespace, and what they hold. */
const settings = z.array(z.object({ name: z.string(), value: z.string() }));

/** Rows of /proc/PID/uid_map: first id inside, first id outside, how many. */
const map = z.array(z.tuple([z.int().nonnegative(), z.int().nonnegative(), z.int().positive()]));

export const spacesSchema = z.object({
  /** Names of any bytes, one character each (Latin-1). */
  uts: z.object({ id, hostname: z.string(), domainname: z.string() }).optional(),
  ipc: z.object({ id, settings }).optional(),
  /** With no interface but the loopback one. */
  net: z.object({ id, loopbackUp: z.boolean(), settings }).optional(),
  /** The mounts of cr, and how they hear of one another (mount_namespaces(7)); `proc`: another /proc on top. */
  mnt: z.object({ id, propagation: z.enum(["private", "slave", "unchanged"]), proc: z.boolean() }).optional(),
  /** That of the root's children: ids outside, which stand everywhere else, and inside, of all processes and own threads. */
  pid: z.object({ id, ids: z.array(z.tuple([z.int().positive(), z.int().positive()])) }).optional(),
  user: z.object({ id, uids: map, gids: map, setgroups: z.boolean() }).optional(),
});
export type Spaces = z.infer<typeof spacesSchema>;
