/**
 * In which order the members of a process tree are made, so that each has its recorded parent, session and group
 * (credentials(7)). Pure: family.ts does what is planned here. A session is inherited at birth or begun by its leader,
 * never joined; a group needs a living leader, or a member, to be joined. Where a leader has ended, a ghost with its
 * number stands in until all have joined.
 */
import { CrError } from "../errors.js";
import type { TreeMember } from "../state/tree.js";

/** What of a member the plan is about. */
export type Relative = Pick<TreeMember, "pid" | "parent" | "group" | "session" | "exitSignal"> & {
  readonly zombie: unknown;
};

export type Step =
  /** `by` makes it as its child or, if `sibling`, as a child of its own parent (CLONE_PARENT). */
  | { readonly do: "make"; readonly pid: number; readonly by: number; readonly sibling: boolean }
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
}

const SIGCHLD = 17;

/** Plans all births but that of the root, which comes first in `members`. UNSUPPORTED_STATE names who cannot be made. */
export function planFamily(members: readonly Relative[]): FamilyPlan {
  const [root] = members;
  if (root === undefined) throw new RangeError("a tree without members");
  for (const { pid, exitSignal } of members)
    if (exitSignal !== SIGCHLD && pid !== root.pid) refuseSignal(pid, exitSignal);
  const steps: Step[] = [];
  /** Parent of each ghost. */
  const ghosts = new Map<number, number>();
  planBirths({ members, root, steps, ghosts });
  planGroups({ members, root, steps, ghosts });
  for (const [pid, parent] of ghosts) steps.push({ do: "vanish", pid, parent });
  const dead = members.filter(({ zombie }) => zombie !== null);
  for (const { pid } of dead) steps.push({ do: "die", pid });
  const bereaved = new Set([...ghosts.values(), ...dead.map(({ parent }) => parent)]);
  for (const { pid } of dead) bereaved.delete(pid);
  for (const pid of bereaved) steps.push({ do: "forget", pid });
  return { steps, ghosts: [...ghosts.keys()] };
}

interface Planning {
  readonly members: readonly Relative[];
  readonly root: Relative;
  readonly steps: Step[];
  readonly ghosts: Map<number, number>;
}

/** Depth first: when a member is made, whoever is born in its session before it begins its own is born first. */
function planBirths({ members, root, steps, ghosts }: Planning): void {
  const byParent = new Map<number, Relative[]>();
  for (const member of members) byParent.set(member.parent, [...(byParent.get(member.parent) ?? []), member]);
  const bear = (parent: Relative, bornIn: number): void => {
    const children = byParent.get(parent.pid) ?? [];
    const make = (child: Relative, by: number, session: number) => {
      steps.push({ do: "make", pid: child.pid, by, sibling: by !== parent.pid });
      bear(child, session);
    };
    const leads = parent.session === parent.pid && parent !== root;
    const early = leads ? children.filter(({ session }) => session === bornIn) : [];
    for (const child of early) make(child, parent.pid, bornIn);
    if (leads) steps.push({ do: "lead", pid: parent.pid });
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
    hint: "only processes made by fork(2) can be in a tree",
  });
}
