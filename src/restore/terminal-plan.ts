/**
 * Which members of a tree get which controlling terminal, of those that are pseudo-terminals of the tree (tty(4)). A
 * leader takes it right after it has begun its session, before its children inherit it; who had let go of it does so
 * after all are born; the foreground group is named when all have joined theirs. Pure, as family-plan.ts.
 */
import { CrError } from "../errors.js";
import type { ProcessState } from "../state/process.js";
import type { SoftError } from "../state/soft-error.js";
import type { TreeMember } from "../state/tree.js";

/** What of a member the plan is about. */
export type OnTerminal = Pick<TreeMember, "pid" | "group" | "session"> & {
  readonly terminal?: TreeMember["terminal"];
  readonly zombie: unknown;
};

export type TerminalStep =
  /** TIOCSCTTY by the leader of a session; `dev` is the terminal's number, as in the manifest. */
  | { readonly do: "take-terminal"; readonly pid: number; readonly dev: string }
  /** TIOCNOTTY by a member of the session. */
  | { readonly do: "leave-terminal"; readonly pid: number; readonly dev: string }
  /** TIOCSPGRP by the leader. */
  | {
      readonly do: "foreground";
      readonly pid: number;
      readonly dev: string;
      readonly group: number;
    };

export interface TerminalPlan {
  /** Of each leader that has a terminal of the tree. */
  readonly taken: ReadonlyMap<number, TerminalStep>;
  readonly left: readonly TerminalStep[];
  readonly foreground: readonly TerminalStep[];
  readonly softErrors: readonly SoftError[];
}

const SLAVE_MAJOR = 136;
const O_ACCMODE = 0o3;
const O_WRONLY = 1;

/** Numbers of the terminals of which the tree holds the masters, as in the manifest. */
export function terminalsOf(states: Iterable<Pick<ProcessState, "files">>): Set<string> {
  const own = new Set<string>();
  for (const { files } of states) {
    for (const { object } of files.descriptions) {
      if (object?.kind === "pty" && object.end === "master") own.add(`${SLAVE_MAJOR}:${object.index}`);
    }
  }
  return own;
}

/** `own` is as of `terminalsOf`. UNSUPPORTED_STATE for a terminal that a member cannot have got from its leader. */
export function planTerminals(members: readonly OnTerminal[], own: ReadonlySet<string>): TerminalPlan {
  const taken = new Map<number, TerminalStep>();
  const left: TerminalStep[] = [];
  const foreground: TerminalStep[] = [];
  const softErrors: SoftError[] = [];
  const living = members.filter(({ zombie }) => zombie === null);
  const devOf = ({ terminal }: OnTerminal) => (terminal && own.has(terminal.dev) ? terminal.dev : null);
  for (const member of living) {
    const { pid, session, terminal } = member;
    const leader = living.find((one) => one.pid === session);
    const dev = leader ? devOf(leader) : null;
    if (devOf(member) !== null && devOf(member) !== dev) throw notFromLeader(member);
    if (leader === undefined || dev === null) continue;
    if (devOf(member) === null) left.push({ do: "leave-terminal", pid, dev });
    if (leader !== member) continue;
    taken.set(pid, { do: "take-terminal", pid, dev });
    const group = terminal?.foregroundGroup ?? 0;
    if (group === member.group) continue;
    const isThere = members.some((one) => one.group === group && one.session === session);
    if (isThere) foreground.push({ do: "foreground", pid, dev, group });
    else softErrors.push(nobodyThere(member, group));
  }
  return { taken, left, foreground, softErrors };
}

function nobodyThere({ pid, terminal }: OnTerminal, group: number): SoftError {
  const id = terminal?.name ?? "";
  const message = `the process group ${group} that terminal ${id} had in its foreground has ended: process ${pid} is there now`;
  return { kind: "terminal", id, message };
}

function notFromLeader({ pid, session, terminal }: OnTerminal): CrError {
  const message = `make process ${pid} again: its controlling terminal ${terminal?.name ?? terminal?.dev} is not that of the leader of its session, ${session}`;
  return new CrError("UNSUPPORTED_STATE", message, { hint: "checkpoint the tree before that" });
}

/** In the foreground the root is in cr's session: UNSUPPORTED_STATE if it had a terminal of the tree's own. */
export function requireLeader(members: readonly OnTerminal[], own: ReadonlySet<string>): void {
  const [root] = members;
  const dev = root?.terminal?.dev;
  if (root === undefined || dev === undefined || !own.has(dev)) return;
  const message = `make process ${root.pid} again: its controlling terminal ${root.terminal?.name ?? dev} is one of the tree's own, and in the foreground it has that of cr`;
  throw new CrError("UNSUPPORTED_STATE", message, { hint: "restore it with --detach" });
}

interface Opened {
  /** What all newborns inherit, from the number `base` on. */
  readonly sources: readonly { readonly descriptionId: number | null }[];
  readonly base: number;
}

/** Where newborns find a slave of each terminal by which it can be taken: one that is open for reading. */
export function terminalPlaces(
  states: Iterable<Pick<ProcessState, "files">>,
  { sources, base }: Opened,
): Map<string, number> {
  const places = new Map<string, number>();
  for (const { files } of states) {
    for (const { id, object, flags } of files.descriptions) {
      if (object?.kind !== "pty" || object.end !== "slave" || (flags & O_ACCMODE) === O_WRONLY) continue;
      const at = sources.findIndex(({ descriptionId }) => descriptionId === id);
      if (at >= 0) places.set(`${SLAVE_MAJOR}:${object.index}`, base + at);
    }
  }
  return places;
}
