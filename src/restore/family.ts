/**
 * The members of a process tree, made by one another as family-plan.ts says: remote clone3 with the recorded pids,
 * setsid, setpgid, deaths of those that were dead. All are copies of the root at its entry point until `startImage`
 * gives each its own executable. cr is the tracer of all; disposing kills all, parents before children.
 */
import { processStatus } from "../host/process-status.js";
import type { TreeMember } from "../state/tree.js";
import { errnoName, NativeError } from "../tracee/native.js";
import { Newborn } from "../tracee/newborn.js";
import { tryOwnCall } from "../tracee/own-call.js";
import { reap } from "../tracee/reap.js";
import type { RemoteCall } from "../tracee/remote.js";
import { Arguments } from "./arguments.js";
import { clone3 } from "./clone3.js";
import type { FamilyPlan, Step } from "./family-plan.js";
import { cloneFlags } from "./kinship.js";
import { spawnFailed, startPersonality } from "./spawn.js";
import type { TerminalStep } from "./terminal-plan.js";
import type { Workshop } from "./workshop.js";

const CLONE_PARENT = 0x8000n;
const IOPRIO_WHO_PROCESS = 1;
/** Class 2, level 4: what a process without a priority of its own has; the recorded one comes later. */
const BEST_EFFORT = (2 << 13) | 4;
const CLONE_NEWPID = 0x2000_0000;
const SIGCHLD = 17;
const SIGKILL = 9;
const SIG_DFL = 0n;
const WALL = 0x4000_0000;
const PR_SET_NAME = 15;
const PR_SET_DUMPABLE = 4;
const PR_SET_CHILD_SUBREAPER = 36;
const TIOCSCTTY = 0x540e;
const TIOCSPGRP = 0x5410;
const TIOCNOTTY = 0x5422;
const ERRNO_MAX = 4095n;
const SIGNAL_BITS = 0x7f;
const REAP_MS = 10_000;

export interface Relatives extends Disposable {
  /** Where a living member stands, in its copy of the root's workshop. */
  at(pid: number): Workshop;
  /** After the last member was let go: they are ordinary processes. */
  letGo(): void;
}

export interface FamilyParts {
  /** The root at its entry point. */
  readonly root: Workshop;
  readonly plan: FamilyPlan;
  readonly members: readonly Pick<TreeMember, "pid" | "zombie">[];
  /** Process group that the root has now. */
  readonly rootGroup: number;
  /** A slave of each of the tree's own terminals, by its number in the manifest: where all newborns have it. */
  readonly terminals?: ReadonlyMap<string, number>;
  /** Starts the executable of a member and stands at its entry point: for those that are to be copied there. */
  readonly start?: (workshop: Workshop) => Workshop;
  /** Numbers in a pid namespace of the root's children by ours; left out where they are in ours. */
  readonly numbers?: ReadonlyMap<number, number> | undefined;
  /** The namespace is that of its only child (CLONE_NEWPID) and not of all that it makes from then on (unshare(2)). */
  readonly isCloned?: boolean;
}

/** Makes them all. PID_TAKEN, NOT_PERMITTED, LIMIT_TOO_LOW or RESTORE_FAILED with all of them gone but the root. */
export function makeFamily(parts: FamilyParts): Relatives {
  const { root, plan, members, numbers } = parts;
  const standing = new Map<number, Workshop>([[root.newborn.pid, root]]);
  const made: number[] = [];
  // Whoever loses its parent when all are killed becomes our child, and can be waited for.
  tryOwnCall("prctl", PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
  const letGo = () => {
    tryOwnCall("prctl", PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0);
    made.length = 0;
  };
  const dispose = () => {
    if (made.length > 0) killAll(root.newborn, numbers ? made.toReversed() : made, standing);
    letGo();
  };
  const at = (pid: number): Workshop => {
    const workshop = standing.get(pid);
    if (workshop === undefined) throw new RangeError(`process ${pid} was not made`);
    return workshop;
  };
  try {
    if (numbers && !parts.isCloned)
      root.run("make a pid namespace", [{ name: "unshare", args: [CLONE_NEWPID] }]);
    for (const step of plan.steps) {
      if (step.do === "make") {
        const newborn = make(at(step.by), { ...step, isCloned: parts.isCloned ?? false }, numbers);
        made.push(step.pid);
        standing.set(step.pid, at(step.by).copiedTo(newborn));
      } else if (step.do === "start") {
        if (parts.start) standing.set(step.pid, parts.start(at(step.pid)));
      } else if (step.do === "die") {
        const zombie = members.find(({ pid }) => pid === step.pid)?.zombie;
        if (zombie) die(at(step.pid), zombie);
      } else if ("dev" in step) onTerminal(step, at(step.pid), parts.terminals?.get(step.dev) ?? -1);
      else take(step, at, parts.rootGroup);
    }
  } catch (error) {
    dispose();
    throw error;
  }
  return { at, letGo, [Symbol.dispose]: dispose };
}

/** What exec gives it. */
interface Image {
  readonly exe: { readonly path: string };
  readonly personality: number;
}

/** Starts a member's executable, at whose first instruction it then stands. As `spawn` of spawn.ts. */
export function startImage(
  workshop: Workshop,
  { process: { exe, personality } }: { readonly process: Image },
): void {
  const { newborn } = workshop;
  const args = new Arguments(workshop.data);
  const path = args.put(Buffer.from(`${exe.path}\0`));
  const argv = args.words(path, 0n);
  const envp = args.words(0n);
  newborn.write(workshop.data, args.bytes());
  workshop.run("set its personality", [{ name: "personality", args: [startPersonality(personality) >>> 0] }]);
  const result = workshop.attempt({ name: "execve", args: [path, argv, envp] });
  if (isError(result)) throw spawnFailed(nativeError(result), exe.path, newborn.pid);
}

function make(
  by: Workshop,
  {
    pid,
    sibling,
    shares = [],
    exitSignal = SIGCHLD,
    isCloned,
  }: Extract<Step, { do: "make" }> & { readonly isCloned: boolean },
  inside: ReadonlyMap<number, number> | undefined,
): Newborn {
  // Without an I/O context there is none to share: setting the priority that it has makes one.
  if (shares.includes("io"))
    by.runAnyway([{ name: "ioprio_set", args: [IOPRIO_WHO_PROCESS, 0, BEST_EFFORT] }]);
  const args = new Arguments(by.data);
  const inner = inside?.get(pid);
  const own = isCloned && inner === 1 ? BigInt(CLONE_NEWPID) : 0n;
  const call = clone3(args, {
    flags: cloneFlags(shares) | own | (sibling ? CLONE_PARENT : 0n),
    exitSignal: sibling ? 0 : exitSignal,
    ids: inner === undefined ? [pid] : [inner, pid],
  });
  by.newborn.write(by.data, args.bytes());
  const result = by.attempt(call);
  if (isError(result)) throw spawnFailed(nativeError(result), "a process of the tree", pid);
  return Newborn.born(pid, inside);
}

function take(
  step: Exclude<Step, TerminalStep | { do: "make" | "die" | "start" }>,
  at: (pid: number) => Workshop,
  rootGroup: number,
): void {
  switch (step.do) {
    case "lead":
      at(step.pid).run("begin its session", [{ name: "setsid", args: [] }]);
      return;
    case "join": {
      const group = step.group ?? rootGroup;
      // One that was born in it may have no name for it in a pid namespace of its own.
      if (processStatus(step.pid)?.pgid === group) return;
      const own = at(step.pid).newborn.numberOf(group);
      at(step.pid).run("join its process group", [{ name: "setpgid", args: [0, own] }]);
      return;
    }
    case "vanish": {
      at(step.pid).newborn.dieOf(SIGKILL);
      const reap: RemoteCall = { name: "wait4", args: [step.pid, 0, WALL, 0] };
      at(step.parent).run("take leave of a process that had ended", [reap]);
      return;
    }
    case "forget": {
      // The default of SIGCHLD is to be ignored, and that empties the queue (sigaction(2)); its handler comes later.
      const workshop = at(step.pid);
      const args = new Arguments(workshop.data);
      const action = args.words(SIG_DFL, 0n, 0n, 0n);
      const calls: RemoteCall[] = [{ name: "rt_sigaction", args: [SIGCHLD, action, 0, 8] }];
      workshop.run("forget what happened while it was made", calls, args.bytes());
    }
  }
}

/** ioctl_tty(2). */
function onTerminal(step: TerminalStep, workshop: Workshop, fd: number): void {
  const args = new Arguments(workshop.data);
  switch (step.do) {
    case "take-terminal":
      workshop.run("take its controlling terminal", [{ name: "ioctl", args: [fd, TIOCSCTTY, 0] }]);
      return;
    case "leave-terminal":
      workshop.run("leave its controlling terminal", [{ name: "ioctl", args: [fd, TIOCNOTTY, 0] }]);
      return;
    case "foreground": {
      const group = args.words(BigInt(workshop.newborn.numberOf(step.group)));
      const call: RemoteCall = { name: "ioctl", args: [fd, TIOCSPGRP, group] };
      workshop.run("put a process group into the foreground", [call], args.bytes());
    }
  }
}

/** Its name and owner show in /proc; the status is what its parent will be told. */
function die(workshop: Workshop, { comm, uid, waitStatus }: NonNullable<TreeMember["zombie"]>): void {
  const args = new Arguments(workshop.data);
  const calls: RemoteCall[] = [{ name: "prctl", args: [PR_SET_NAME, args.text(comm)] }];
  if (uid !== process.getuid?.()) calls.push({ name: "setresuid", args: [uid, uid, uid] });
  // No core file of this death.
  calls.push({ name: "prctl", args: [PR_SET_DUMPABLE, 0] });
  workshop.run("name a dead child", calls, args.bytes());
  const signal = waitStatus & SIGNAL_BITS;
  if (signal === 0) workshop.newborn.exit(workshop.start, (waitStatus >> 8) & 0xff);
  else workshop.newborn.dieOf(signal);
}

/**
 * Parents first: their children, the dead ones too, then are ours and can be reaped. But children first in a pid namespace
 * of theirs, whose process 1 ends when all others have.
 */
function killAll(root: Newborn, made: readonly number[], standing: ReadonlyMap<number, Workshop>): void {
  root[Symbol.dispose]();
  for (const pid of made) standing.get(pid)?.newborn[Symbol.dispose]();
  reap(made, REAP_MS);
}

function isError(result: bigint): boolean {
  return result < 0n && result >= -ERRNO_MAX;
}

function nativeError(result: bigint): NativeError {
  return new NativeError("cr_remote", errnoName(Number(-result)));
}
