/**
 * One whole look at a process, or at a tree of them, and everything in it that cannot be saved: taken before the stop,
 * and again in it.
 */
import { CrError, isErrno } from "../errors.js";
import type { FileState } from "../state/fd.js";
import type { SoftError } from "../state/soft-error.js";
import { familyOf, hasEnded, isStopped, type Relative } from "../tracee/kin.js";
import { mappersOutside } from "../tracee/maps.js";
import { type ProcessFacts, readProcessFacts } from "../tracee/process-facts.js";
import { refusedTerminals } from "./controlling-terminals.js";
import { FarEnds } from "./far-ends.js";
import { classifyTree } from "./files.js";
import { lookAtObjects } from "./mapped-objects.js";
import { type KnownFlags, mappingsNow } from "./mapping-flags.js";
import { isAnonymousShared, type MappedFiles, refusedMappings, sharedWithOthers } from "./mappings.js";
import { insiderOf } from "./namespaces.js";
import { ObjectIds } from "./object-ids.js";
import { socketsOf } from "./queues.js";
import type { Refusal } from "./refusal.js";
import { refusedContentsNow } from "./refused-contents.js";
import { refusedApart, refusedInTree } from "./refused-in-trees.js";
import { refusedSharers } from "./refused-spaces.js";
import { refusedThreads } from "./refused-threads.js";
import { refusedDead, refusedTracers } from "./relations.js";
import { refusedSharedMemory } from "./shared-memory.js";
import { refusedOutside, refusedShares, type Sharers, sharersAmong } from "./shares.js";
import { visitedOf } from "./spaces.js";
import { type IpcLook, lookAtIpc } from "./sysv-ipc.js";
import { attempt, checkTarget, lookFailed, refusedOfProcess } from "./target.js";

export interface Look {
  readonly facts: ProcessFacts;
  readonly files: FileState;
  readonly refusals: readonly Refusal[];
  /** What of it can only be saved in part. */
  readonly softErrors: readonly SoftError[];
}

/** All members of a tree, the dead among `relatives` only; a lone process is a tree of one. */
export interface TreeLook {
  readonly relatives: readonly Relative[];
  readonly looks: ReadonlyMap<number, Look>;
  readonly refusals: readonly Refusal[];
  /** What members share without being threads. */
  readonly sharers: readonly Sharers[];
  /** System V semaphores and queues that belong to it. */
  readonly ipc: IpcLook;
}

/** What is kept between looks. */
export interface Memory {
  readonly mappedFiles: MappedFiles;
  readonly farEnds: FarEnds;
  /** Takes what is left out by consent away. */
  readonly leave?: (look: TreeLook) => TreeLook;
  /** What is known of a member's mappings. */
  readonly known?: (pid: number) => KnownFlags;
}

/** Looks at a running tree are repeated so often when something is refused. */
const LOOKS_MAX = 3;
/** And while members come and go. */
const DISTURBED_MAX = 20;

/**
 * Looks at a process that runs on meanwhile, with its descendants. It may delete a file between two readings of one
 * descriptor, or a child may be on its way to its own program: what is refused only once was on its way, so a refusal
 * is looked at again. Throws as `checkTarget` for every member.
 */
export function lookBeforeStop(root: number, memory: Memory): TreeLook {
  let found = lookUndisturbed(root, memory);
  for (let looks = 1; looks < LOOKS_MAX && found.refusals.length > 0; looks += 1) {
    const before = new Set(found.refusals.map(nameOf));
    const again = lookUndisturbed(root, memory);
    found = { ...again, refusals: again.refusals.filter((refusal) => before.has(nameOf(refusal))) };
  }
  return found;
}

/** A member that ends in the middle of a look takes what is yet to be read of it along: then all is looked at anew. */
function lookUndisturbed(root: number, memory: Memory): TreeLook {
  for (let looks = 1; ; looks += 1) {
    try {
      return lookWhileRunning(root, memory);
    } catch (error) {
      if (!isErrno(error, "ENOENT", "ESRCH")) throw error;
      if (looks === DISTURBED_MAX || hasEnded(root)) throw lookFailed(root, error);
    }
  }
}

/** With what was found: at one number there may be another pipe each time. */
function nameOf({ pid, kind, id, what }: Refusal): string {
  return `${pid} ${kind} ${id} ${what}`;
}

function lookWhileRunning(root: number, memory: Memory): TreeLook {
  checkTarget(root);
  const relatives = familyOf(root).filter(({ pid, isDead }) => pid === root || isDead || isTarget(pid));
  const look = lookAtTree(relatives, memory);
  const sockets = socketsOf([...look.looks].map(([pid, { files }]) => [pid, files] as const));
  const contents = [...look.looks].flatMap(([pid, { files }]) =>
    refusedContentsNow(pid, files, sockets).map((one) => of(one, pid, root)),
  );
  const tracers = refusedTracers([...look.looks.keys()]);
  const refusals = [...look.refusals, ...contents, ...tracers, ...refusedOutside(root)];
  const { leave = (whole: TreeLook) => whole } = memory;
  return leave({ ...look, refusals });
}

/** False for a child that has just ended; throws for one that cannot be checkpointed. */
function isTarget(pid: number): boolean {
  try {
    checkTarget(pid);
    return true;
  } catch (error) {
    if (error instanceof CrError && (hasEnded(pid) || isEnding(pid, error))) return false;
    throw error;
  }
}

/** On its way out a process has lost its memory and files before it is dead; in our stop nobody is on the way out. */
function isEnding(pid: number, error: unknown): boolean {
  return error instanceof CrError && error.code === "NO_SUCH_PROCESS" && !isStopped(pid);
}

/**
 * Reads and classifies; mappings come with the identity of their files. A member that ended meanwhile is left out, the
 * root is NO_SUCH_PROCESS then.
 */
export function lookAtTree(relatives: readonly Relative[], memory: Memory): TreeLook {
  const root = relatives[0]?.pid ?? 0;
  const facts = new Map<number, ProcessFacts>();
  for (const { pid, isDead } of relatives) {
    const read = isDead ? null : unlessEnded(pid, { root, look: () => readFacts(pid, memory) });
    if (read !== null) facts.set(pid, read);
  }
  const shared = [...facts.values()].flatMap(({ vmas }) => vmas.filter(isAnonymousShared));
  const mappers = mappersOutside([...facts.keys()], shared);
  const classified = classifyTree(
    [...facts].map(([pid, { descriptors }]) => ({ pid, open: descriptors })),
    memory.farEnds,
  );
  const pids = [...facts.keys()];
  const all = [...facts.values()];
  const ids = new ObjectIds(
    all.reduce((sum, own) => sum + own.descriptors.length, 0),
    all.flatMap(({ vmas }) => vmas),
  );
  const looks = new Map<number, Look>();
  for (const [pid, own] of facts) {
    const files = classified.get(pid);
    if (files === undefined) continue;
    const more = unlessEnded(pid, { root, look: () => lookInside(pid, own, { pids, ids }) });
    // Of one that has ended since, nothing is found by its name any more.
    if (more === null || (pid !== root && hasEnded(pid))) continue;
    const refusals = [...more.refusals, ...files.refusals, ...sharedWithOthers(own.vmas, mappers)];
    looks.set(pid, {
      facts: { ...own, vmas: more.vmas },
      files: { ...files.files, mapped: more.mapped, segments: more.segments },
      softErrors: more.softErrors,
      refusals: refusals.map((one) => of(one, pid, root)),
    });
  }
  const refused = [...looks.values()].flatMap(({ refusals }) => refusals);
  const sharers = sharersAmong(relatives, looks);
  const ipcPids = [...looks.values()].map(({ facts: { pid } }) => pid);
  const ipc = lookAtIpc(ipcPids, { all: visitedOf(insiderOf(pids)).includes("ipc") });
  return {
    relatives,
    looks,
    sharers,
    ipc,
    refusals: [
      ...ipc.refusals,
      ...refused,
      ...refusedShares(relatives, sharers),
      ...(sharers.length > 0 ? refusedSharers(pids) : []),
      ...refusedDead(relatives),
      ...refusedTerminals(relatives, looks),
    ],
  };
}

function of(refusal: Refusal, pid: number, root: number): Refusal {
  return pid === root ? refusal : { ...refusal, pid };
}

/** What is found of a member, with errors in the user's words; null for a child that has just ended. */
export function unlessEnded<T>(
  pid: number,
  { root, look }: { readonly root: number; readonly look: () => T },
): T | null {
  try {
    return attempt(pid, look);
  } catch (error) {
    if (pid !== root && (hasEnded(pid) || isEnding(pid, error))) return null;
    throw error;
  }
}

function readFacts(pid: number, { mappedFiles, known }: Memory): ProcessFacts {
  const read = readProcessFacts(pid, () => mappingsNow(pid, known?.(pid)));
  return { ...read, vmas: mappedFiles.identify(pid, read.vmas) };
}

/** What is behind mappings, and what of a member is refused. */
function lookInside(
  pid: number,
  facts: ProcessFacts,
  tree: { readonly pids: readonly number[]; readonly ids: ObjectIds },
) {
  const objects = lookAtObjects(facts.vmas, { pid, open: facts.descriptors, ...tree });
  const vmas = [...objects.vmas];
  const refusals = [
    ...refusedThreads(pid),
    ...refusedOfProcess(pid, facts, tree.pids),
    ...refusedMappings(vmas),
    ...objects.refusals,
    ...refusedSharedMemory(pid, vmas, tree.pids),
    ...(tree.pids.length > 1 ? refusedInTree(vmas) : []),
    ...(tree.pids.length > 1 && tree.pids[0] === pid ? refusedApart(facts) : []),
  ];
  return { ...objects, vmas, refusals };
}

/** One process without regard to its children. Throws errno errors of /proc. */
export function lookAtProcess(pid: number, mappedFiles: MappedFiles): Look {
  const relatives = familyOf(pid).slice(0, 1);
  const look = lookAtTree(relatives, { mappedFiles, farEnds: new FarEnds() }).looks.get(pid);
  if (look === undefined) throw new RangeError(`process ${pid} was not looked at`);
  return look;
}
