/**
 * What stands between the processes of a tree and cannot be made again: memory, descriptors, folder or handlers that
 * two share without being threads of one process (clone(2)), and tracing (ptrace(2)).
 */
import { hasCapability } from "../host/capabilities.js";
import { statusLine } from "../host/process-status.js";
import { tracersAmong } from "../host/tracers.js";
import { firstSharing, type Relative, SHARED_KINDS, type SharedKind } from "../tracee/kin.js";
import type { ProcessFacts } from "../tracee/process-facts.js";
import type { Refusal } from "./refusal.js";

/** What is known of the members that live. */
type Looks = ReadonlyMap<number, { readonly facts: ProcessFacts }>;

/** `pid` shares something with an earlier member. */
interface Share {
  readonly pid: number;
  readonly other: number;
  readonly what: SharedKind;
}

const WORDS: Readonly<Record<SharedKind, string>> = {
  vm: "its memory (CLONE_VM)",
  files: "its descriptor table (CLONE_FILES)",
  fs: "its working folder and umask (CLONE_FS)",
  sighand: "its signal handlers (CLONE_SIGHAND)",
};

/** Processes that share what only threads can be given again; to be asked before the stop, and again in it. */
export function refusedShares(relatives: readonly Relative[], looks: Looks): Refusal[] {
  const waiting = new Set(relatives.filter(({ stat }) => stat.state === "D").map(({ pid }) => pid));
  const parents = new Map(relatives.map(({ pid, parent }) => [pid, parent]));
  // A parent in vfork(2) waits for its child to let go of its memory.
  const isPassing = ({ pid, other, what }: Share) =>
    what === "vm" && parents.get(pid) === other && waiting.has(other);
  return sharesAmong(looks)
    .filter((share) => !isPassing(share))
    .map(({ pid, other, what }) => {
      return { pid, kind: "process", id: what, what: `it shares ${WORDS[what]} with process ${other}` };
    });
}

/** Processes that trace others, in the tree or outside. Those that are traced are refused by themselves. */
export function refusedTracers(pids: readonly number[]): Refusal[] {
  return tracersAmong(pids).map(({ pid, comm, tracer }) => {
    return { pid: tracer, kind: "process", id: "trace", what: `it traces process ${pid} (${comm})` };
  });
}

/** Dead children of other users: the kernel tells their status only to those who could have traced them. */
export function refusedDead(relatives: readonly Relative[]): Refusal[] {
  if (hasCapability("CAP_SYS_PTRACE")) return [];
  return relatives.flatMap(({ pid, isDead, stat }) => {
    if (!isDead || isOwn(pid)) return [];
    return [{ pid, kind: "process", id: "dead", what: `a dead child of another user (${stat.comm})` }];
  });
}

function isOwn(pid: number): boolean {
  const is = (name: string, id: number) => {
    const ids = statusLine(pid, name)?.split(/\s+/).slice(0, 3) ?? [];
    return ids.every((one) => Number(one) === id);
  };
  return is("Uid", process.geteuid?.() ?? 0) && is("Gid", process.getegid?.() ?? 0);
}

function sharesAmong(looks: Looks): Share[] {
  return SHARED_KINDS.flatMap((what) => {
    const candidates = new Map<string, number[]>();
    for (const [pid, look] of looks) {
      const key = keyOf(what, look);
      candidates.set(key, [...(candidates.get(key) ?? []), pid]);
    }
    return [...candidates.values()].flatMap((pids) => sharesOf(what, pids));
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
  }
}

/** Each with the first that it shares it with. */
function sharesOf(what: SharedKind, pids: readonly number[]): Share[] {
  const first = firstSharing(what, pids);
  return pids.flatMap((pid, index) => {
    const other = pids[first[index] ?? index];
    return other === undefined || other === pid ? [] : [{ pid, other, what }];
  });
}
