/**
 * Namespaces made again (state/space.ts), by a process of ours that is there for nothing else. Those of the host name, of
 * IPC and of the network cr enters: it makes in there what belongs there, and starts the program, which is born in them.
 * Those of mounts and users each process enters itself.
 */
import { CrError } from "../errors.js";
import { hasCapability } from "../host/capabilities.js";
import { joinGroups } from "../host/cgroup-membership.js";
import type { ProcessState } from "../state/process.js";
import type { SoftError } from "../state/soft-error.js";
import type { Spaces } from "../state/space.js";
import { putLoopbackUp } from "../tracee/loopback.js";
import { readMappings } from "../tracee/maps.js";
import { Newborn } from "../tracee/newborn.js";
import type { RemoteCall } from "../tracee/remote.js";
import { VISITED, Visit, writeSetting } from "../tracee/space.js";
import { Arguments } from "./arguments.js";
import type { FamilyPlan } from "./family-plan.js";
import { makeMounts } from "./mount-table.js";
import { enterSpaces, mountProc, putPropagation } from "./own-mounts.js";
import { spawnFailed } from "./spawn.js";
import { freeAddress, Workshop } from "./workshop.js";

/** CLONE_NEW… of linux/sched.h. */
const NEW = {
  ...{ uts: 0x0400_0000, ipc: 0x0800_0000, net: 0x4000_0000 },
  ...{ cgroup: 0x0200_0000, mnt: 0x2_0000, user: 0x1000_0000 },
} as const;
const MADE = [...VISITED, "cgroup", "mnt"] as const;
const PR_SET_DUMPABLE = 4;
/** Room for two names. */
const DATA_BYTES = 4096;
const FD_BASE = 100;

/** While it lasts cr is in them, as far as it can be; nothing may be awaited. */
export interface MadeSpaces extends Disposable {
  readonly softErrors: readonly SoftError[];
  /** Whether a process has to enter some itself. */
  readonly areEntered: boolean;
  /** Starts the root of a tree: at home where it is not in them. */
  start<T>(spawn: () => T): T;
  /** Lets a process into them, at its entry point, before its executable is started and after its children are made. */
  enter(workshop: Workshop, state: ProcessState): void;
}

const NONE: MadeSpaces = {
  softErrors: [],
  areEntered: false,
  start: (spawn) => spawn(),
  enter() {},
  [Symbol.dispose]() {},
};

/**
 * Numbers in the pid namespace of a tree's own by those outside, and whether it is only that of one child; nothing where it
 * has none. UNSUPPORTED_STATE where one that has to be made in it has none there: the leader of a session or group that
 * has ended.
 */
export function pidsInside(
  living: readonly { readonly state: ProcessState }[],
  { steps }: FamilyPlan,
): { numbers?: ReadonlyMap<number, number>; isCloned?: boolean } {
  const all = living.map(({ state }) => state.process.spaces);
  const numbers = new Map(all.flatMap((spaces) => spaces?.pid?.ids ?? []));
  if (numbers.size === 0) return {};
  const made = steps.flatMap((step) => (step.do === "make" ? [step.pid] : []));
  const nameless = made.find((pid) => !numbers.has(pid));
  const first = numbers.get(made[0] ?? 0);
  if (nameless === undefined && first === 1) return { numbers, isCloned: all[0]?.rootOutside ?? false };
  const who = nameless === undefined ? `process ${first} is the first` : `process ${nameless} has ended`;
  throw new CrError("UNSUPPORTED_STATE", `make the pid namespace of the tree again: ${who} in it`, {
    hint: "checkpoint the tree while its process 1 and the leaders of its groups and sessions are there",
  });
}

/**
 * Makes and enters the recorded namespaces of a program, or of a tree with this root, if any. NOT_PERMITTED without
 * CAP_SYS_ADMIN; RESTORE_FAILED.
 */
export function makeSpaces({ process: { spaces, pid, cgroups } }: Pick<ProcessState, "process">): MadeSpaces {
  if (spaces === undefined || Object.keys(spaces).length === 0) return NONE;
  requireRights(spaces);
  const maker = startMaker();
  const kinds = VISITED.filter((kind) => spaces[kind] !== undefined);
  let visit: Visit | null = null;
  const dispose = () => {
    visit?.[Symbol.dispose]();
    maker[Symbol.dispose]();
  };
  try {
    if (spaces.cgroup !== undefined) joinGroups(maker.pid, cgroups);
    make(openHere(maker), spaces);
    visit = Visit.to(maker.pid, kinds);
    return {
      softErrors: [...furnish(spaces), ...foreignPids(spaces)],
      areEntered: ["mnt", "user", "cgroup"].some((kind) => kind in spaces),
      start: (spawn) => {
        if (!spaces.rootOutside) return spawn();
        visit?.[Symbol.dispose]();
        const root = spawn();
        visit = Visit.to(maker.pid, kinds);
        return root;
      },
      enter: (workshop, state) => {
        if (spaces.rootOutside && state.process.pid === pid) return;
        enterSpaces(workshop, { spaces, state, maker: maker.pid });
      },
      [Symbol.dispose]: dispose,
    };
  } catch (error) {
    dispose();
    throw error;
  }
}

/** In the maker: mounts while it has all rights, then users, then what belongs to them. */
function make(workshop: Workshop, spaces: Spaces): void {
  const { mnt, user } = spaces;
  if (mnt?.mounts !== undefined) makeMounts(workshop, mnt.mounts);
  if (user !== undefined) becomeUser(workshop, user);
  const own = MADE.filter((kind) => spaces[kind] !== undefined);
  const flags = own.reduce((all, kind) => all | NEW[kind], 0);
  if (flags !== 0) workshop.run("make its namespaces", [{ name: "unshare", args: [flags] }]);
  putNames(workshop, spaces);
  if (mnt !== undefined) putPropagation(workshop, mnt);
  if (mnt?.proc && spaces.pid === undefined) mountProc(workshop);
}

function requireRights(spaces: Spaces): void {
  if (hasCapability("CAP_SYS_ADMIN")) return;
  const message = `restore the program in namespaces of its own (${Object.keys(spaces).join(", ")}): cr may not make them`;
  throw new CrError("NOT_PERMITTED", message, { hint: "run cr as root (CAP_SYS_ADMIN)" });
}

function startMaker(): Newborn {
  try {
    const plain = {
      pid: null,
      group: "shared",
      personality: 0,
      fds: [],
      fdBase: FD_BASE,
      clocks: "",
    } as const;
    return Newborn.spawn({ exe: process.execPath, ...plain });
  } catch (error) {
    throw spawnFailed(error, process.execPath, 0);
  }
}

function openHere(newborn: Newborn): Workshop {
  const entry = newborn.runToEntry();
  const start = freeAddress(readMappings(newborn.pid), DATA_BYTES + 8192);
  return Workshop.open(newborn, entry, { start, dataBytes: DATA_BYTES });
}

/** First of all, since what is made then belongs to it. cr writes its maps, which it may do itself only in part. */
function becomeUser(workshop: Workshop, { uids, gids, setgroups }: NonNullable<Spaces["user"]>): void {
  workshop.run("make a user namespace", [
    { name: "unshare", args: [NEW.user] },
    { name: "prctl", args: [PR_SET_DUMPABLE, 1, 0, 0, 0] },
  ]);
  const text = (rows: typeof uids) => rows.map((row) => `${row.join(" ")}\n`).join("");
  if (!setgroups) workshop.newborn.writeProc("setgroups", "deny");
  if (uids.length > 0) workshop.newborn.writeProc("uid_map", text(uids));
  if (gids.length > 0) workshop.newborn.writeProc("gid_map", text(gids));
}

function putNames(workshop: Workshop, { uts }: Spaces): void {
  if (uts === undefined) return;
  const args = new Arguments(workshop.data);
  const call = (name: "sethostname" | "setdomainname", text: string): RemoteCall => {
    return { name, args: [args.text(text), text.length] };
  };
  const calls = [call("sethostname", uts.hostname), call("setdomainname", uts.domainname)];
  workshop.run("name its host", calls, args.bytes());
}

/** What is set in the namespaces that we are in now; cosmetic where this kernel does not let us. */
function furnish({ ipc, net }: Spaces): SoftError[] {
  if (net?.loopbackUp) putLoopbackUp();
  const settings = [...(ipc?.settings ?? []), ...(net?.settings ?? [])];
  return settings
    .filter(({ name, value }) => !writeSetting(name, value))
    .map(({ name, value }) => ({
      kind: "setting",
      id: name,
      message: `the setting ${name.replaceAll("/", ".")} of its namespace could not be put back to ${value.replaceAll("\t", " ")}`,
    }));
}

/** Only whoever has rights outside can choose numbers outside. */
function foreignPids({ pid, user }: Spaces): SoftError[] {
  if (pid === undefined || user === undefined) return [];
  const message =
    "the pid namespace of the program belongs to the user namespace of cr: another /proc cannot be mounted in it";
  return [{ kind: "namespace", id: "pid", message }];
}
