/**
 * Members of a tree that share something without being threads of one: who has to clone whom, with which flags
 * (clone(2)). Memory, descriptors and handlers are unshared by exec, so their sharers are copies of one that has its
 * executable already, and are rebuilt together: memory by the first of them, the workshop left by the last.
 */
import { CrError } from "../errors.js";
import type { TreeMember } from "../state/tree.js";

export type SharedKind = TreeMember["shares"][number]["what"];

/** A member as far as it shares. */
export type Sharer = Pick<TreeMember, "pid" | "parent" | "session"> & Partial<Pick<TreeMember, "shares">>;

/** CLONE_VM, CLONE_FS, CLONE_FILES, CLONE_SIGHAND, CLONE_SYSVSEM, CLONE_IO of clone(2). */
const FLAGS: Readonly<Record<SharedKind, bigint>> = {
  vm: 0x100n,
  fs: 0x200n,
  files: 0x400n,
  sighand: 0x800n,
  sysvsem: 0x4_0000n,
  io: 0x8000_0000n,
};
const KINDS = Object.keys(FLAGS) as readonly SharedKind[];
/** What exec(2) takes from sharers. */
const UNSHARED_BY_EXEC: readonly SharedKind[] = ["vm", "files", "sighand"];

/** Flags of the clone that makes a sharer of these. */
export function cloneFlags(kinds: readonly SharedKind[]): bigint {
  return kinds.reduce((flags, kind) => flags | FLAGS[kind], 0n);
}

/** True when a sharer of these cannot call exec. */
export function isOfOneImage(kinds: readonly SharedKind[]): boolean {
  return kinds.some((kind) => UNSHARED_BY_EXEC.includes(kind));
}

/** What two members have in common. */
export function sharedBy(one: Sharer, other: Sharer): SharedKind[] {
  return KINDS.filter((kind) => groupOf(one, kind) === groupOf(other, kind));
}

/** The first member that has what this one has. */
function groupOf({ pid, shares = [] }: Sharer, kind: SharedKind): number {
  return shares.find(({ what }) => what === kind)?.with ?? pid;
}

/**
 * Who makes a child so that it shares what it should: `usual`, or an elder sibling that shares more with it than that
 * and is in the session in which it is to be born.
 */
export function makerOf(
  child: Sharer,
  usual: Sharer,
  born: { readonly siblings: readonly Sharer[]; readonly session: number },
): Sharer {
  const elders = born.siblings.slice(0, Math.max(0, born.siblings.indexOf(child)));
  return elders
    .filter(({ pid, session }) => session !== pid && session === born.session)
    .reduce(
      (best, other) => (sharedBy(child, other).length > sharedBy(child, best).length ? other : best),
      usual,
    );
}

/** A birth of the plan. */
export interface Birth {
  readonly pid: number;
  readonly by: number;
  readonly shares?: readonly SharedKind[];
}

/** UNSUPPORTED_STATE that names the first member whom the births do not bring together with those it shares with. */
export function requireShared(members: readonly Sharer[], births: readonly Birth[]): void {
  for (const kind of KINDS) {
    const home = new Map<number, number>();
    const homeOf = (pid: number) => home.get(pid) ?? pid;
    for (const { pid, by, shares = [] } of births) if (shares.includes(kind)) home.set(pid, homeOf(by));
    for (const member of members) {
      const first = groupOf(member, kind);
      if (homeOf(member.pid) === homeOf(first)) continue;
      const message = `make process ${member.pid} again: it shares its ${kind} with process ${first}, of which none is made by the other`;
      throw new CrError("UNSUPPORTED_STATE", message, {
        hint: "checkpoint the tree before that, or only a part of it",
      });
    }
  }
}

/** The part of a member in what it is rebuilt in together with others. */
export interface Part {
  /** The memory is its to make, or was made by an earlier member. */
  readonly makesMemory: boolean;
  /** No later member works in its memory. */
  readonly leavesMemory: boolean;
  /** The same for the descriptor table. */
  readonly placesFiles: boolean;
  readonly closesFiles: boolean;
}

/** Of one that shares nothing. */
export const ALONE: Part = { makesMemory: true, leavesMemory: true, placesFiles: true, closesFiles: true };

/** Whether a member's core has its memory, which no earlier one's has. */
export function makesMemory({ shares = [] }: Pick<Sharer, "shares">): boolean {
  return shares.every(({ what }) => what !== "vm");
}

/** The part of `member` among all that live, in the order in which they are rebuilt. */
export function partOf(member: Sharer, living: readonly Sharer[]): Part {
  const isLast = (kind: SharedKind) => {
    const group = living.filter((other) => groupOf(other, kind) === groupOf(member, kind));
    return group.at(-1)?.pid === member.pid;
  };
  return {
    makesMemory: makesMemory(member),
    leavesMemory: isLast("vm"),
    placesFiles: groupOf(member, "files") === member.pid,
    closesFiles: isLast("files"),
  };
}
