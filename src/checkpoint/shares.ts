/**
 * What the processes of a tree share without being threads of one (clone(2)): memory, descriptors, folder, handlers, …
 * kcmp(2) tells. Recorded in the manifest and given back by the same clone; refused is what nobody could share again.
 */
import type { TreeMember } from "../state/tree.js";
import {
  firstSharing,
  isWaiting,
  type Relative,
  SHARED_KINDS,
  type SharedKind,
  siblingsOf,
  withOwn,
} from "../tracee/kin.js";
import type { ProcessFacts } from "../tracee/process-facts.js";
import { ownKinds } from "./namespaces.js";
import type { Refusal } from "./refusal.js";

/** What is known of the members that live. */
type Looks = ReadonlyMap<number, { readonly facts: ProcessFacts }>;

/** Members that have one and the same, at least two, in the order of the tree. */
export interface Sharers {
  readonly what: SharedKind;
  readonly pids: readonly number[];
}

const WORDS: Readonly<Record<SharedKind, string>> = {
  vm: "its memory (CLONE_VM)",
  files: "its descriptor table (CLONE_FILES)",
  fs: "its working folder and umask (CLONE_FS)",
  sighand: "its signal handlers (CLONE_SIGHAND)",
  io: "its I/O context (CLONE_IO)",
  sysvsem: "its list of semaphore adjustments (CLONE_SYSVSEM)",
};

/** Who shares what; a parent in vfork(2), which waits for its child to let go of its memory, does not count. */
export function sharersAmong(relatives: readonly Relative[], looks: Looks): Sharers[] {
  const waiting = new Set(relatives.filter(({ stat }) => stat.state === "D").map(({ pid }) => pid));
  const passing = new Set(relatives.filter(({ parent }) => waiting.has(parent)).map(({ pid }) => pid));
  return SHARED_KINDS.flatMap((what) => {
    const candidates = new Map<string, number[]>();
    const having = new Set(withOwn(what, [...looks.keys()]));
    for (const [pid, look] of looks) {
      if ((what === "vm" && passing.has(pid)) || !having.has(pid)) continue;
      const key = keyOf(what, look);
      candidates.set(key, [...(candidates.get(key) ?? []), pid]);
    }
    return [...candidates.values()].flatMap((pids) => groupsOf(what, pids)).map((pids) => ({ what, pids }));
  });
}

/**
 * Those that no clone by a parent or sibling can bring together again, and a folder that is shared in mounts or users of
 * their own, which only a process that shares none may enter (setns(2)). To be asked before the stop, and in it.
 */
export function refusedShares(relatives: readonly Relative[], sharers: readonly Sharers[]): Refusal[] {
  const [root] = relatives;
  const kinds = root === undefined ? [] : ownKinds(root.pid);
  const isEntered = kinds.includes("mnt") || kinds.includes("user");
  const folders = sharers.filter(({ what }) => isEntered && what === "fs");
  const inside = folders.map(({ what, pids: [pid = 0, other] }): Refusal => {
    const found = `it shares ${WORDS[what]} with process ${other} in an own mount or user namespace`;
    return { pid, kind: "process", id: what, what: found };
  });
  return [...inside, ...refusedApart(relatives, sharers)];
}

function refusedApart(relatives: readonly Relative[], sharers: readonly Sharers[]): Refusal[] {
  const parents = new Map(relatives.map(({ pid, parent }) => [pid, parent]));
  return sharers.flatMap(({ what, pids }) => {
    const [first = 0] = pids;
    const reached = [first];
    const isNear = (pid: number) => (other: number) => {
      const [own, others] = [parents.get(pid), parents.get(other)];
      return own === other || others === pid || (own === others && own !== 0);
    };
    for (let before = 0; before < reached.length; ) {
      before = reached.length;
      for (const pid of pids) if (!reached.includes(pid) && reached.some(isNear(pid))) reached.push(pid);
    }
    const apart = pids.filter((pid) => !reached.includes(pid));
    return apart.map((pid): Refusal => {
      const found = `it shares ${WORDS[what]} with process ${first}, and none of its parent, children and siblings does`;
      return { pid, kind: "process", id: what, what: found };
    });
  });
}

/**
 * What the root shares with its parent or a sibling outside the tree: it could not be given back. Of a parent that
 * waits in vfork(2) it passes.
 */
export function refusedOutside(root: number): Refusal[] {
  return siblingsOf(root).flatMap((other) =>
    SHARED_KINDS.filter((what) => isShared(what, root, other)).map((what) => {
      const found = `it shares ${WORDS[what]} with process ${other}, which is not in its tree`;
      const isPassing = what === "vm" && isWaiting(other);
      return { kind: "process", id: what, what: found, ...(isPassing ? { passing: true } : {}) };
    }),
  );
}

/** Members whose memory is an earlier one's. */
export function lodgers(sharers: readonly Sharers[]): number[] {
  return sharers.flatMap(({ what, pids }) => (what === "vm" ? pids.slice(1) : []));
}

/** As the manifest has them: each but the first with the first. */
export function sharesOf(pid: number, sharers: readonly Sharers[]): TreeMember["shares"] {
  return sharers.flatMap(({ what, pids }) => {
    const [first = pid] = pids;
    return first !== pid && pids.includes(pid) ? [{ what, with: first }] : [];
  });
}

/** Equal for any two that share it. */
function keyOf(what: SharedKind, { facts }: { readonly facts: ProcessFacts }): string {
  const { mm } = facts.stat;
  switch (what) {
    case "vm":
    case "sighand":
      return `${mm.startStack} ${mm.startBrk} ${mm.argStart} ${facts.vmas.length}`;
    case "files":
      return facts.descriptors.map(({ fd, link }) => `${fd}:${link}`).join("\n");
    case "fs":
      return `${facts.cwd.dev}:${facts.cwd.ino} ${facts.status.get("Umask")}`;
    case "io":
    case "sysvsem":
      return "";
  }
}

function isShared(what: SharedKind, pid: number, other: number): boolean {
  return firstSharing(what, [pid, other])[1] === 0 && withOwn(what, [pid]).length > 0;
}

/** Each group in the order of the tree. */
function groupsOf(what: SharedKind, pids: readonly number[]): number[][] {
  const groups = new Map<number, number[]>();
  firstSharing(what, pids).forEach((first, index) => {
    groups.set(first, [...(groups.get(first) ?? []), pids[index] ?? 0]);
  });
  return [...groups.values()].filter((group) => group.length > 1);
}
