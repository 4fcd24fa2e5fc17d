/**
 * In which order the members of a process tree are made, so that each has its recorded parent, session and group
 * (credentials(7)). Pure: family.ts does what is planned here. A session is inherited at birth or begun by its leader,
 * never joined; a group needs a living leader, or a member, to be joined. Where a leader has ended, a ghost with its
 * number stands in until all have joined.
 */
import { CrError } from "../errors.js";
import type { SoftError } from "../state/soft-error.js";
import type { TreeMember } from "../state/tree.js";
import { isOfOneImage, makerOf, requireShared, type SharedKind, sharedBy } from "./kinship.js";
import { type OnTerminal, planTerminals, type TerminalPlan, type TerminalStep } from "./terminal-plan.js";

/** What of a member the plan is about. */
export type Relative = Pick<TreeMember, "pid" | "parent" | "group" | "session" | "exitSignal"> &
  Partial<Pick<TreeMember, "shares">> &
  OnTerminal;

/** `by` makes it as its child or, if `sibling`, as a child of its own parent (CLONE_PARENT); they share `shares`. */
interface Making {
  readonly do: "make";
  readonly pid: number;
  readonly by: number;
  readonly sibling: boolean;
  readonly shares?: readonly SharedKind[];
  /** What tells its end, where that is not SIGCHLD; a sibling's is that of who makes it. */
  readonly exitSignal?: number;
}

export type Step =
  | TerminalStep
  | Making
  /** It starts its executable now, because others that are made of it will never call exec. */
  | { readonly do: "start"; readonly pid: number }
  /** setsid(2). */
  | { readonly do: "lead"; readonly pid: number }
  /** setpgid(2) by itself; null stands for the group that the root has now. */
  | { readonly do: "join"; readonly pid: number; readonly group: number | null }
  /** A ghost has served: it ends, and its parent reaps it. */
  | { readonly do: "vanish"; readonly pid: number; readonly parent: number }
  /** A dead child ends as it did. */
  | { readonly do: "die"; readonly pid: number }
  /** SIGCHLD of those that ended in the making, which the member never got. */
  | { readonly do: "forget"; readonly pid: number };

export interface FamilyPlan {
  readonly steps: readonly Step[];
  /** Numbers of leaders that have ended; they must be free. */
  readonly ghosts: readonly number[];
  /** Members that never call exec, each with the one whose executable it has. */
  readonly images: ReadonlyMap<number, number>;
  readonly softErrors: readonly SoftError[];
}

const SIGCHLD = 17;

/**
 * Plans all births but that of the root, which comes first in `members`; `terminals` are those of the tree's own
 * (terminal-plan.ts). UNSUPPORTED_STATE names who cannot be made.
 */
export function planFamily(
  members: readonly Relative[],
  terminals: ReadonlySet<string> = new Set(),
): FamilyPlan {
  const [root] = members;
  if (root === undefined) throw new RangeError("a tree without members");
  const steps: Step[] = [];
  /** Parent of each ghost. */
  const ghosts = new Map<number, number>();
  const onTerminals = planTerminals(members, terminals);
  planBirths({ members, root, steps, ghosts, onTerminals });
  const births = steps.filter((step) => step.do === "make");
  requireShared(members, births);
  const images = imagesOf(births);
  requireSignals(members, { births, images });
  planGroups({ members, root, steps, ghosts });
  steps.push(...onTerminals.left, ...onTerminals.foreground);
  for (const [pid, parent] of ghosts) steps.push({ do: "vanish", pid, parent });
  const dead = members.filter(({ zombie }) => zombie !== null);
  for (const { pid } of dead) steps.push({ do: "die", pid });
  const bereaved = new Set([...ghosts.values(), ...dead.map(({ parent }) => parent)]);
  for (const { pid } of dead) bereaved.delete(pid);
  for (const pid of bereaved) steps.push({ do: "forget", pid });
  return {
    steps: withStarts(steps, { root: root.pid, images }),
    ghosts: [...ghosts.keys()],
    images,
    softErrors: onTerminals.softErrors,
  };
}

/** exec makes it SIGCHLD: another one has only who never calls it. */
function requireSignals(
  members: readonly Relative[],
  plan: { readonly births: readonly Making[]; readonly images: ReadonlyMap<number, number> },
): void {
  const signals = new Map(members.map(({ pid, exitSignal }) => [pid, exitSignal]));
  for (const { pid, by, sibling, exitSignal = SIGCHLD } of plan.births) {
    const can = sibling ? (signals.get(by) ?? SIGCHLD) : plan.images.has(pid) ? exitSignal : SIGCHLD;
    if (signals.has(pid) && exitSignal !== can) refuseSignal(pid, exitSignal);
  }
}

/** Who never calls exec, and of whom it is a copy. */
function imagesOf(births: readonly Making[]): Map<number, number> {
  const images = new Map<number, number>();
  for (const { pid, by, shares = [] } of births) {
    if (isOfOneImage(shares)) images.set(pid, images.get(by) ?? by);
  }
  return images;
}

/** With the starts of those that others are copies of, before these are made; the root has started already. */
function withStarts(
  steps: readonly Step[],
  { root, images }: { readonly root: number; readonly images: ReadonlyMap<number, number> },
): Step[] {
  const originals = new Set(images.values());
  originals.delete(root);
  return steps.flatMap((step): Step[] =>
    step.do === "make" && originals.has(step.pid) ? [step, { do: "start", pid: step.pid }] : [step],
  );
}

interface Planning {
  readonly members: readonly Relative[];
  readonly root: Relative;
  readonly steps: Step[];
  readonly ghosts: Map<number, number>;
}

/** Depth first: when a member is made, whoever is born in its session before it begins its own is born first. */
function planBirths({
  members,
  root,
  steps,
  ghosts,
  onTerminals,
}: Planning & { readonly onTerminals: TerminalPlan }): void {
  const byParent = new Map<number, Relative[]>();
  for (const member of members) byParent.set(member.parent, [...(byParent.get(member.parent) ?? []), member]);
  const bear = (parent: Relative, bornIn: number): void => {
    const children = byParent.get(parent.pid) ?? [];
    const make = (child: Relative, by: number, session: number) => {
      const usual = by === parent.pid ? parent : children.find(({ pid }) => pid === by);
      const maker = usual && makerOf(child, usual, { siblings: children, session });
      const shares = maker ? sharedBy(child, maker) : [];
      const pid = maker?.pid ?? by;
      const { exitSignal } = child;
      const shared = shares.length > 0 ? { shares } : {};
      const told = exitSignal === SIGCHLD ? {} : { exitSignal };
      steps.push({ do: "make", pid: child.pid, by: pid, sibling: pid !== parent.pid, ...shared, ...told });
      bear(child, session);
    };
    const leads = parent.session === parent.pid && parent !== root;
    const early = leads ? children.filter(({ session }) => session === bornIn) : [];
    for (const child of early) make(child, parent.pid, bornIn);
    if (leads) steps.push({ do: "lead", pid: parent.pid });
    const taken = onTerminals.taken.get(parent.pid);
    if (taken !== undefined) steps.push(taken);
    const own = (child: Relative) => child.session === parent.session || child.session === child.pid;
    const rest = children.filter((child) => !early.includes(child));
    for (const child of rest.filter(own)) make(child, parent.pid, parent.session);
    for (const child of rest.filter((one) => !own(one))) {
      const { session } = child;
      const sibling = children.find((other) => other.pid === session);
      if (sibling === undefined && ghosts.get(session) !== parent.pid) {
        if (ghosts.has(session) || members.some(({ pid }) => pid === session)) refuseSession(child);
        ghosts.set(session, parent.pid);
        steps.push(
          { do: "make", pid: session, by: parent.pid, sibling: false },
          { do: "lead", pid: session },
        );
      }
      make(child, session, session);
    }
  };
  bear(root, root.session);
}

/** Leaders first, then those that join them. */
function planGroups({ members, root, steps, ghosts }: Planning): void {
  const others = members.filter((member) => member !== root);
  const leaders = new Set(members.flatMap(({ pid, group }) => (group === pid ? [pid] : [])));
  for (const { pid, group, session } of others) {
    if (group === pid && session !== pid) steps.push({ do: "join", pid, group });
  }
  for (const { pid, group } of others) {
    if (group === pid) continue;
    if (group !== root.group && !leaders.has(group) && !ghosts.has(group)) {
      if (members.some((one) => one.pid === group)) refuseGroup(pid, group);
      ghosts.set(group, pid);
      steps.push({ do: "make", pid: group, by: pid, sibling: false }, { do: "join", pid: group, group });
    }
    steps.push({ do: "join", pid, group: group === root.group ? null : group });
  }
}

function refuseSession({ pid, parent, session }: Relative): never {
  const message = `make process ${pid} again: it is in the session of process ${session}, where its parent ${parent} never was`;
  throw new CrError("UNSUPPORTED_STATE", message, {
    hint: "checkpoint the tree before that, or only a part of it",
  });
}

function refuseGroup(pid: number, group: number): never {
  const message = `make process ${pid} again: it is in the process group ${group}, which process ${group} has left`;
  throw new CrError("UNSUPPORTED_STATE", message, {
    hint: "checkpoint the tree before that, or only a part of it",
  });
}

function refuseSignal(pid: number, signal: number): never {
  const message = `make process ${pid} again: its end is told by signal ${signal}, SIGCHLD (${SIGCHLD}) is required`;
  throw new CrError("UNSUPPORTED_STATE", message, {
    hint: "only a process that shares memory or descriptors with its parent can end with another signal",
  });
}
