/**
 * A process tree as one checkpoint: `manifest.json` of a bundle, beside one core for each member that lives. The cores
 * hold the members whole; here is what stands between them: parents, groups, sessions, terminals, what is shared.
 *
 * What is one thing in the kernel has one name in all cores of a bundle:
 * - An open file description: `FILES.descriptions[].id` is unique across the tree, and the same `id` in two cores is the
 *   same description (one offset). Every core carries the full record of each description that it holds. The records of
 *   one description are equal, but for `locks` (those of `how: "posix"` belong to the member in whose core they stand),
 *   `watches` (each watch of an epoll stands in one core only: that of a member in which it is to be added, because its
 *   `fd` is a number there), `content` and `contentIn`.
 * - What is behind descriptions (pipe, FIFO, socket, memfd, deleted file): equal `dev` and `ino`. A pipe has ends in any
 *   members; `object.peer` of a socket is the `ino` of the other end, in any member.
 * - The bytes of such a thing are stored once: `content` in the core of the first member (in the order of `members`) that
 *   can have them, `content: null` and `contentIn: <pid of that member>` with every other record that could have had them.
 * - Shared anonymous memory: equal `dev` and `ino` of the mappings of `kind: "shared-anonymous"`. A page of it, at offset
 *   `vma.offset + (address - vma.start)` of the object, is in the runs of one core at most, of the first member that maps
 *   it, so filling the runs of every member into one object fills it. `memory` lists the objects with several members.
 * - A description of the kind `outside` or `terminal` belongs to the lowest of 0, 1, 2 at which any member has it.
 * - `owner.id` (F_SETOWN) may be any member's pid or tid, or a process group of the tree.
 *
 * `PROCESS.tree` of each core is the root's pid: such a core is no whole checkpoint alone, and `cr restore` of it refuses.
 */

import { digits, int, natural, positive, text, u64, z } from "./schema.js";
import { softErrorSchema } from "./soft-error.js";

const pid = positive;

/** A dead child that its parent has not waited for. */
export const zombieSchema = z.object({
  /** Latin-1, as PROCESS.comm. */
  comm: text,
  /** As wait(2) will tell it: 0 exited with 0, 256 * N exited with N, the number of the signal (128: core dumped). */
  waitStatus: natural,
  uid: natural,
});

/** The controlling terminal: `major:minor` in decimal, its name where there is one, its foreground group (0: none). */
export const terminalSchema = z.object({
  dev: text,
  name: z.nullable(text),
  foregroundGroup: natural,
});

export const memberSchema = z.object({
  pid,
  /** Its parent in the tree: a member that stands before it; 0 for the root. Orphans have their subreaper's pid. */
  parent: natural,
  /**
   * Process group and session by their numbers. They may be led by no member: by a process outside (then the session is
   * the root's, and the member belongs into that of the restore's caller), or by one that has ended.
   */
  group: natural,
  session: natural,
  terminal: z.nullable(terminalSchema),
  /** What its parent gets when it ends: SIGCHLD for all but special clones. */
  exitSignal: natural,
  /** Its core in the same folder; null for the dead. `checksum` is that of its note CHECKSUM. */
  core: z.nullable(
    z.object({
      file: text.check(z.regex(/^core\.\d+$/)),
      sizeBytes: positive,
      checksum: digits,
    }),
  ),
  zombie: z.nullable(zombieSchema),
  /**
   * What it shares without being a thread (clone(2)), each with the first member that has it. Those that a restore
   * cannot make again are refused at the checkpoint. The pages of a memory (`vm`) are in the core of the first.
   */
  shares: z.array(z.object({ what: z.enum(["vm", "files", "fs", "sighand", "io", "sysvsem"]), with: pid })),
});
export type TreeMember = z.infer<typeof memberSchema>;

/** The body of manifest.json; its envelope is core/manifest.ts. */
export const treeSchema = z.object({
  root: pid,
  /** Unix time of the stop in ms, and where it was. */
  takenMs: z.number(),
  hostname: text,
  kernel: text,
  bootId: text,
  tool: text,
  /** Parents before their children, the root first. */
  members: z.array(memberSchema).check(z.minLength(1)),
  /** Shared anonymous memory of more than one member: `dev` and `ino` as in VMAS, pids in the order of `members`. */
  memory: z.array(z.object({ dev: text, ino: u64, sizeBytes: int, members: z.array(pid) })),
  /** What could not be saved exactly of the tree as a whole; what belongs to a member is in its core. */
  softErrors: z.array(softErrorSchema),
});
export type Tree = z.infer<typeof treeSchema>;
