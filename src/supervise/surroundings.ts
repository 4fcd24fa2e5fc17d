/**
 * Whether a restore needs surroundings of its own, decided from the core, the caller's wish and his rights: a pid
 * namespace where the recorded pids are to be had, or the identity of the core's owner where root restores for him.
 */
import { execFileSync } from "node:child_process";
import { fstatSync, type Stats, statSync } from "node:fs";
import { isBundle } from "../core/manifest.js";
import { readState } from "../core/read-state.js";
import { type CoreFile, openCore } from "../core/reader.js";
import { CrError } from "../errors.js";
import { hasCapability } from "../host/capabilities.js";
import { userNamespaces } from "../host/user-namespaces.js";
import { checkMode } from "../restore/check-owner.js";
import type { ProcessState } from "../state/process.js";

/** Pids that cr takes for itself in a new namespace: its threads, and the processes that it starts. */
const OWN_PIDS = 64;

export interface Owner {
  readonly uid: number;
  readonly gid: number;
  readonly groups: readonly number[];
}

export interface Surroundings {
  /** `user`: a user namespace with it, for those who may not make a pid namespace alone. */
  readonly namespace: "user" | "pid" | "none";
  /** Whose rights the restore is to have; null for the caller's. */
  readonly owner: Owner | null;
  /** Where the pids that cr itself needs in there may begin. */
  readonly lastPid: number;
}

export interface SurroundingsWish {
  readonly pid?: "keep" | "new" | "ns" | undefined;
  readonly trust?: boolean | undefined;
}

/**
 * Null when the restore is made by this process, as it is. Throws NOT_PERMITTED where a namespace is needed and
 * forbidden, or where the pid has to be kept and cannot be chosen; CREDENTIALS; CORE_NOT_OWNED; BAD_CORE, ….
 */
export async function planSurroundings(path: string, wish: SurroundingsWish): Promise<Surroundings | null> {
  const namespaced = wantsNamespace(wish);
  const isForOwner = ({ uid }: Stats) => process.geteuid?.() === 0 && uid !== 0 && !wish.trust;
  const file = fileAt(path);
  // Where nothing else is asked of it, it is read once: the restore checks the owner of what it opens.
  if (!namespaced && file !== null && !isForOwner(file)) return null;
  using saved = await openSaved(path);
  const stat = fstatSync(saved.core.fileFd);
  const forOwner = isForOwner(stat);
  if (!namespaced && !forOwner) return null;
  if (forOwner) checkMode({ path: saved.core.path, stat });
  const { state, pids, members } = saved.read();
  const owner = forOwner ? ownerOf(stat.uid, state) : null;
  if (!namespaced) return { namespace: "none", owner, lastPid: 0 };
  requireInnerPids(state, members);
  const lastPid = freePid(pids);
  if (hasCapability("CAP_SYS_ADMIN")) return { namespace: "pid", owner, lastPid };
  requireUserNamespaces(state);
  return { namespace: "user", owner, lastPid };
}

/** Null when it is no file, or cannot be looked at: opening it says why. */
function fileAt(path: string): Stats | null {
  try {
    const found = statSync(path);
    return found.isFile() ? found : null;
  } catch {
    return null;
  }
}

/** A core, or that of the root of a tree. */
interface Saved extends Disposable {
  readonly core: CoreFile;
  /** `pids` are all numbers that are needed, `members` those of processes. */
  read(): {
    readonly state: ProcessState;
    readonly pids: readonly number[];
    readonly members: readonly number[];
  };
}

async function openSaved(path: string): Promise<Saved> {
  if (!isBundle(path)) {
    const core = openCore(path);
    const read = () => {
      const state = readState(core);
      return { state, pids: pidsOf(state), members: [state.process.pid] };
    };
    return { core, read, [Symbol.dispose]: () => core.close() };
  }
  const { openBundle } = await import("../core/bundle.js");
  const { living, tree, [Symbol.dispose]: close } = openBundle(path);
  const [root] = living;
  if (root === undefined) throw new RangeError("a tree without a root");
  const relations = tree.members.flatMap(({ pid, group, session }) => [pid, group, session]);
  const pids = [...relations, ...living.flatMap(({ state }) => pidsOf(state))];
  const members = tree.members.map(({ pid }) => pid);
  return { core: root.core, read: () => ({ state: root.state, pids, members }), [Symbol.dispose]: close };
}

function pidsOf({ threads, process: { pid } }: ProcessState): number[] {
  return [pid, ...threads.map(({ tid }) => tid)];
}

/** The choice of `--pid`; without one it is kept, by a namespace where that is the only way. */
function wantsNamespace({ pid }: SurroundingsWish): boolean {
  if (pid === "ns") return true;
  if (pid === "new" || hasCapability("CAP_CHECKPOINT_RESTORE") || hasCapability("CAP_SYS_ADMIN"))
    return false;
  if (pid === undefined) return true;
  throw new CrError("NOT_PERMITTED", "restore the program under its own pid: cr may not choose pids", {
    hint: "run cr as root or with CAP_CHECKPOINT_RESTORE (cr doctor), or use --pid ns",
  });
}

function requireInnerPids({ process: { pid } }: ProcessState, members: readonly number[]): void {
  if (pid > 1 && !members.includes(1)) return;
  const message = "restore the program in a pid namespace: it was process 1, which is cr's own there";
  throw new CrError("UNSUPPORTED_STATE", message, { hint: "restore it in a container of its own" });
}

function requireUserNamespaces(state: ProcessState): void {
  const { state: found, why, next } = userNamespaces();
  if (found === "open") return;
  const lone = state.threads.length === 1 ? ", or add --pid new if it can do with another pid" : "";
  throw new CrError(
    "NOT_PERMITTED",
    `restore the program as process ${state.process.pid}: cr may not choose pids here, and user namespaces are closed to you (${why})`,
    { hint: `${next}${lone}` },
  );
}

/** Below this number a run of pids that the program did not have. */
function freePid(pids: readonly number[]): number {
  const taken = new Set(pids);
  for (let start = 300; ; start += OWN_PIDS) {
    const run = Array.from({ length: OWN_PIDS }, (_, index) => start + index);
    if (!run.some((number) => taken.has(number))) return start;
  }
}

/** The owner of a core with the program's groups, as far as they are his. CREDENTIALS for any other. */
function ownerOf(uid: number, { credentials: { gid, groups } }: ProcessState): Owner {
  const his = groupsOf(uid);
  const foreign = [gid.real, ...groups].filter((group) => !his.includes(group));
  if (foreign.length === 0) return { uid, gid: gid.real, groups };
  const message = `restore the program for user ${uid}: it had the groups ${foreign.join(", ")}, which are not his`;
  throw new CrError("CREDENTIALS", message, {
    hint: "add --trust if you trust the core to be what it says",
  });
}

/** What id(1) knows of a user, from whichever directory the host uses. */
function groupsOf(uid: number): number[] {
  try {
    const name = execFileSync("id", ["-un", String(uid)], { stdio: ["ignore", "pipe", "ignore"] });
    const ids = execFileSync("id", ["-G", name.toString().trim()], { stdio: ["ignore", "pipe", "ignore"] });
    return ids.toString().trim().split(" ").map(Number);
  } catch {
    // A number without a name has no groups of his own but the one of the same number.
    return [uid];
  }
}
