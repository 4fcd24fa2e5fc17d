/**
 * `restoreTree`: the recipe for a bundle. All checks for all members; everything they have open, opened once; the root
 * started as a process alone is, the others made by one another (family.ts); each rebuilt; all let go at once. Until
 * then nothing of any of them runs, and whatever fails leaves no process and no changed file behind.
 */

import { statSync } from "node:fs";
import { type Bundle, type LivingMember, openBundle } from "../core/bundle.js";
import { faultPoint } from "../fault.js";
import { bootId } from "../host/boot.js";
import { nowMs } from "../host/monotonic.js";
import { processStatus } from "../host/process-status.js";
import type { FileState } from "../state/fd.js";
import type { SoftError } from "../state/soft-error.js";
import { Newborn } from "../tracee/newborn.js";
import { unpack } from "../tracee/unpack.js";
import { checkOwner } from "./check-owner.js";
import { clocksHere } from "./clocks.js";
import { explained } from "./explained.js";
import { makeFamily, type Relatives } from "./family.js";
import { type FamilyPlan, planFamily } from "./family-plan.js";
import type { DescriptorTable, PreparedFiles } from "./files.js";
import { type Foreground, openForeground } from "./foreground.js";
import { type Inheritance, inheritTogether } from "./inherit.js";
import { makesMemory } from "./kinship.js";
import { openWorkshop } from "./rebuild.js";
import type { FilesPolicy } from "./regular-file.js";
import type { Restored, RestoreOptions } from "./restore.js";
import { type OpenedSegments, openSegments } from "./segments.js";
import { sessionDifferences } from "./session.js";
import { openSharedMappings, rollbackSharedMapping, type SharedMappings } from "./shared-mappings.js";
import { type MadeSpaces, makeSpaces, pidsInside } from "./spaces.js";
import { spawn } from "./spawn.js";
import { type OpenedIpc, openIpc } from "./sysv-ipc.js";
import { requireLeader, terminalPlaces, terminalsOf } from "./terminal-plan.js";
import { adaptMembers } from "./tree-adapt.js";
import { checkMembers, requireWholeTree } from "./tree-checks.js";
import { type FileOwner, prepareTreeFiles } from "./tree-files.js";
import { openSharedMemory } from "./tree-memory.js";
import { placesOf, type TreePlaces } from "./tree-places.js";
import { rebuildAll, startMember } from "./tree-rebuild.js";
import { putAllBack } from "./tree-snapshots.js";
import type { ForeignVdso } from "./vdso.js";
import type { Workshop } from "./workshop.js";

/**
 * Restarts the process tree of a bundle. Throws as `restore` of restore.ts does, with nothing left behind; what is
 * wrong with the manifest or its cores is told with the file's name.
 */
export async function restoreTree(folder: string, options: RestoreOptions = {}): Promise<Restored> {
  const begin = nowMs();
  checkOwner({ path: folder, stat: statSync(folder) }, { trust: options.trust ?? false });
  using opening = openBundle(folder, { unpack });
  const detach = (options.detach ?? false) || (options.stopped ?? false);
  requireWholeTree(opening, options);
  const { skip, callerGroups } = options;
  const { bundle, vdsos, softErrors: accepted } = adaptMembers(opening, { skip, detach, callerGroups });
  const { living, tree } = bundle;
  const { files: policy = "rollback" } = options;
  const sameBoot = tree.bootId === bootId();
  const plan = planOf(bundle, detach);
  const soft = await checkMembers(bundle, { options, plan, sameBoot });
  // All members see the clocks of the root's time namespace.
  const clocks = clocksHere(at(living, 0).state.host, sameBoot);
  const placed = placesOf(living, options);
  using snapshots = putAllBack(living, { policy, folder });
  using spaces = makeSpaces(at(living, 0).state);
  const vmas = living.flatMap(({ state }) => state.vmas);
  using shared = openSharedMappings(vmas, policy);
  const owners = ownersOf(living, snapshots.files);
  using segments = openSegments(owners);
  using ipc = openIpc(
    at(living, 0).state,
    owners.map(({ pid }) => pid),
  );
  const asked = {
    policy,
    placements: options.fds ?? [],
    tcp: options.tcp,
    corePath: folder,
    vmas,
    runs: [],
    sameBoot,
    foreign: false,
  };
  const opened = prepareTreeFiles(owners, { ...asked, coreFd: at(owners, 0).coreFd });
  using prepared = opened.prepared;
  using memory = openSharedMemory(tree);
  const inheritances = inheritTogether(
    living.map(({ state }, index) => {
      const own = { state, exe: state.process.exe.path, prepared: at(opened.tables, index) };
      return { ...own, shared, memory: memory.of };
    }),
  );
  using _opened = at(inheritances, 0);
  const parts = {
    ...{ bundle, options, plan, placed, inheritances, tables: opened.tables, vdsos },
    ...{ prepared, shared, segments, ipc, clocks, detach, policy, spaces },
  };
  const started = tryStart(parts);
  snapshots.keep();
  return {
    pid: tree.root,
    processes: tree.members.map(({ pid }) => pid),
    softErrors: [
      ...tree.softErrors,
      ...plan.softErrors,
      ...living.flatMap(({ state }) => state.softErrors),
      ...soft,
      ...accepted,
      ...[placed, spaces, shared, segments, ipc, snapshots, prepared, started].flatMap(
        ({ softErrors }) => softErrors,
      ),
    ],
    totalMs: nowMs() - begin,
    foreground: started.foreground,
  };
}

function ownersOf(living: readonly LivingMember[], files: readonly FileState[]): FileOwner[] {
  return living.map(({ member, core, state }, index) => ({
    pid: member.pid,
    state,
    coreFd: core.fd,
    files: at(files, index),
  }));
}

function planOf({ living, tree }: Bundle, detach: boolean): FamilyPlan {
  const terminals = terminalsOf(living.map(({ state }) => state));
  if (!detach) requireLeader(tree.members, terminals);
  const plan = planFamily(tree.members, terminals);
  return { ...plan, softErrors: [...plan.softErrors, ...sessionDifferences(at(living, 0).state, detach)] };
}

interface StartParts {
  readonly bundle: Bundle;
  readonly options: RestoreOptions;
  readonly plan: FamilyPlan;
  readonly placed: TreePlaces;
  /** These and the tables in the order of the living members. */
  readonly inheritances: readonly Inheritance[];
  readonly tables: readonly DescriptorTable[];
  readonly vdsos: readonly (ForeignVdso | null)[];
  readonly prepared: PreparedFiles;
  readonly shared: SharedMappings;
  readonly segments: OpenedSegments;
  readonly ipc: OpenedIpc;
  readonly clocks: string;
  readonly detach: boolean;
  readonly policy: FilesPolicy;
  readonly spaces: MadeSpaces;
}

function tryStart(parts: StartParts): ReturnType<typeof start> {
  try {
    return start(parts);
  } catch (error) {
    throw explained(error, parts.bundle.folder);
  }
}

/** From the first fork to the first instruction; all newborns die with anything that fails in here. */
function start(parts: StartParts): { foreground: Foreground | null; softErrors: SoftError[] } {
  const { bundle, detach, inheritances, plan } = parts;
  const { state } = at(bundle.living, 0);
  const ledGroup = state.process.pgid === state.process.pid;
  using root = parts.spaces.start(() =>
    spawn({
      ...{ state, exe: state.process.exe.path, keepPid: true, clocks: parts.clocks },
      group: detach ? "session" : ledGroup ? "own" : "shared",
      inheritance: at(inheritances, 0),
    }),
  );
  const workshop = openWorkshop(root, state);
  // 0 for a group outside of our pid namespace.
  const rootGroup = processStatus(root.pid)?.pgid ?? root.pid;
  const terminals = terminalPlaces(
    bundle.living.map((one) => one.state),
    { sources: parts.prepared.sources, base: at(inheritances, 0).sources },
  );
  const { members } = bundle.tree;
  const pids = pidsInside(bundle.living, plan);
  const start = (one: Workshop) => startMember(one, bundle.living);
  using family = makeFamily({ root: workshop, plan, members, rootGroup, terminals, ...pids, start });
  faultPoint("restore-after-spawn");
  const softErrors = rebuildAll(family, parts);
  faultPoint("restore-after-rebuild");
  return letGo(family, softErrors, parts);
}

function letGo(family: Relatives, soft: readonly SoftError[], parts: StartParts): ReturnType<typeof start> {
  const { bundle, detach, options, prepared, shared } = parts;
  const { living, tree } = bundle;
  let foreground: Foreground | null = null;
  const softErrors = [...soft, ...prepared.commit()];
  try {
    if (parts.policy === "rollback") {
      for (const { core, state } of living.filter(({ member }) => makesMemory(member))) {
        const own = shared.mappings.filter(({ vma }) => state.vmas.includes(vma));
        for (const mapping of own) rollbackSharedMapping(core.fd, mapping, state.runs);
      }
    }
    parts.segments.rollBack();
    parts.ipc.rollBack();
    const group = foregroundOf(bundle);
    if (!detach) foreground = (options.attend ?? openForeground)({ pid: tree.root, foreground: group });
    options.announce?.(tree.root, group);
    prepared.handOver();
    parts.segments.keep();
    parts.ipc.keep();
    family.letGo();
    Newborn.releaseAll(
      living.map(({ member, state }) => ({
        newborn: family.at(member.pid).newborn,
        stopped: (options.stopped ?? false) || state.process.stopSignal !== 0,
      })),
    );
    for (const feed of prepared.feeds) feed.start({ follow: !detach });
  } catch (error) {
    foreground?.[Symbol.dispose]();
    prepared.undo();
    throw error;
  }
  return { foreground, softErrors };
}

/** The group that had the root's terminal, when it is one of the tree's. */
function foregroundOf({ tree }: Bundle): number | undefined {
  const group = tree.members[0]?.terminal?.foregroundGroup ?? 0;
  return tree.members.some((member) => member.group === group) ? group : undefined;
}

function at<T>(list: readonly T[], index: number): T {
  const item = list[index];
  if (item === undefined) throw new RangeError(`there is no member ${index}`);
  return item;
}
