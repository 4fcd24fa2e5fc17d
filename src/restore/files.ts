/**
 * The program's descriptors: opens every open file once in cr, where the restored process inherits it, after
 * deciding and refusing everything that can be refused. Nothing changes on disk before `commit`, which cuts grown
 * files back; what is decided about a file is in regular-file.ts and descriptor-plan.ts.
 */
import { closeSync } from "node:fs";
import type { FileDescription, FileState } from "../state/fd.js";
import type { PageRun } from "../state/pages.js";
import type { SoftError } from "../state/soft-error.js";
import type { TcpPolicy } from "../state/tcp.js";
import type { Vma } from "../state/vma.js";
import { type PlannedDescriptor, planDescriptors } from "./descriptor-plan.js";
import { discardPlacement, type FdPlacement, openPlacement, type PlacedDescriptor } from "./fd-placement.js";
import { type Feed, openFeed } from "./feed.js";
import { takeLocks } from "./locks.js";
import { type Mapped, mappedOf } from "./mapped-files.js";
import { isObject, type OpenedObjects, openObjects } from "./objects.js";
import { type FileSource, type OpenedDescriptions, openDescriptions } from "./open-descriptions.js";
import type { FilesPolicy } from "./regular-file.js";
import { type CutsDone, cutBack } from "./rollback.js";
import { requireWatchable } from "./watchable.js";

export interface PrepareOptions {
  readonly policy: FilesPolicy;
  readonly placements: readonly FdPlacement[];
  /** The core by name: tails of rolled back files are saved beside it. */
  readonly corePath: string;
  /** The core, open for reading: deleted files are in it. */
  readonly coreFd: number;
  /** Mappings of the program: what it had mapped shared is rolled back through them. */
  readonly vmas: readonly Vma[];
  readonly runs: readonly PageRun[];
  /** The boot of the checkpoint is this one (HostNote.bootId). */
  readonly sameBoot: boolean;
  /** A core of another tool, which has no descriptors. */
  readonly foreign: boolean;
  readonly tcp?: TcpPolicy | undefined;
}

/** One descriptor that the program is to have. */
export interface RestoredDescriptor {
  readonly fd: number;
  readonly cloexec: boolean;
  /** Index in `sources`. */
  readonly source: number;
}

/** A descriptor that the program has to make itself. */
export interface InsideDescriptor {
  readonly fd: number;
  readonly cloexec: boolean;
  readonly description: FileDescription;
}

/** What one process gets. */
export interface DescriptorTable {
  readonly sources: readonly FileSource[];
  readonly descriptors: readonly RestoredDescriptor[];
  /** Files without a name that are to be mapped: descriptors in cr by `id` (`MappedFile`). */
  readonly mapped: ReadonlyMap<number, number>;
  readonly inside: readonly InsideDescriptor[];
  /** Descriptors that lead to what was recorded, one for each description. */
  readonly restored: readonly InsideDescriptor[];
  /** Epoll instances that it inherits, with what it has to add to them; only in a tree. */
  readonly watching?: readonly InsideDescriptor[];
}

/** Everything that was opened. Dispose it in any case: before `commit` that also undoes what was made. */
export interface PreparedFiles extends DescriptorTable, Disposable {
  /** The table of a process of a tree, out of those that were opened together. */
  tableOf(planned: readonly PlannedDescriptor[]): DescriptorTable;
  readonly softErrors: readonly SoftError[];
  /** Pipes that feed recorded input; to be started with the program. */
  readonly feeds: readonly Feed[];
  /**
   * Rolls grown files back; to be called last before the program starts. Throws RESTORE_FAILED or FILE_CHANGED
   * with all files as they were. Returns a soft error for each file that was cut, which names the saved tail.
   */
  commit(): SoftError[];
  /**
   * Closes cr's own ends of pipes and sockets, right before the program starts: while cr held one, the program
   * would miss a hang-up.
   */
  handOver(): void;
  /** Takes the rollback back, when something fails between `commit` and the program's start. */
  undo(): void;
}

/**
 * Decides about all descriptors, then opens what they need. Throws FD_OUTSIDE, FILE_MISSING, FILE_CHANGED,
 * NOT_PERMITTED, CORE_CORRUPT or USAGE with nothing left open.
 */
export function prepareFiles(files: FileState, options: PrepareOptions): PreparedFiles {
  const mapped = { files: (files.mapped ?? []).map(({ file }) => file), inMemory: mappedOf(files, options) };
  return openPlanned(planDescriptors(files, options), options, mapped);
}

/**
 * Opens what was planned, for one process or all of a tree, and files that are only mapped; one description is one
 * object. Throws as `prepareFiles`.
 */
export function openPlanned(
  planned: readonly PlannedDescriptor[],
  options: PrepareOptions,
  { files: mapped, inMemory }: { readonly files: readonly FileDescription[]; readonly inMemory: Mapped },
): PreparedFiles {
  const wanted = [
    ...new Set(planned.flatMap((plan) => (plan.to === "description" ? [plan.description] : []))),
  ];
  const opened = openDescriptions([...wanted, ...mapped.filter((one) => !isObject(one))], {
    ...options,
    mapped: inMemory,
  });
  let objects: OpenedObjects | null = null;
  const placed = new Map<FdPlacement, PlacedDescriptor>();
  const feeds = new Map<number, Feed>();
  try {
    const kernel = planned.flatMap((plan) => (plan.to === "object" ? [plan.description] : []));
    const made = [...new Set(kernel), ...mapped.filter(isObject)];
    objects = openObjects(made, { fd: options.coreFd, pieces: inMemory.pieces, tcp: options.tcp });
    for (const plan of planned) {
      if (plan.to === "feed" && !feeds.has(plan.description.id)) {
        feeds.set(plan.description.id, openFeed(plan.description, options.coreFd));
      }
      if (plan.to !== "placement" || placed.has(plan.placement)) continue;
      placed.set(plan.placement, openPlacement(plan.placement, plan.flags));
    }
    requireWatchable(planned, ({ placement }) => placed.get(placement)?.fd);
    objects.fill(opened.byId);
    takeLocks([...wanted, ...kernel], new Map([...opened.byId, ...objects.byId]));
  } catch (error) {
    for (const one of placed.values()) discardPlacement(one);
    for (const feed of feeds.values()) feed[Symbol.dispose]();
    objects?.[Symbol.dispose]();
    opened[Symbol.dispose]();
    throw error;
  }
  return assemble({ planned, opened, objects, placed, feeds, corePath: options.corePath, mapped });
}

interface Parts {
  readonly planned: readonly PlannedDescriptor[];
  readonly opened: OpenedDescriptions;
  readonly objects: OpenedObjects;
  readonly placed: ReadonlyMap<FdPlacement, PlacedDescriptor>;
  /** By `id` of the description. */
  readonly feeds: ReadonlyMap<number, Feed>;
  readonly corePath: string;
  readonly mapped: readonly FileDescription[];
}

function assemble(parts: Parts): PreparedFiles {
  const { planned, opened, objects, placed, feeds, corePath, mapped } = parts;
  const sources: FileSource[] = [];
  const byMapping = new Map(
    mapped.flatMap(({ id }) => {
      const source = opened.byId.get(id) ?? objects.byId.get(id);
      return source ? [[id, source.fd] as const] : [];
    }),
  );
  const tableOf = (some: readonly PlannedDescriptor[]): DescriptorTable => ({
    sources,
    mapped: byMapping,
    descriptors: some.filter(isInherited).map((plan): RestoredDescriptor => {
      const source = sourceOf(plan, parts);
      if (source === undefined) throw new RangeError(`descriptor ${plan.fd} was planned but not opened`);
      return { fd: plan.fd, cloexec: plan.cloexec, source: indexOf(sources, source) };
    }),
    inside: some.flatMap((plan) => (plan.to === "inside" ? [plan] : [])),
    restored: restoredOf(some),
  });
  let cuts: CutsDone | null = null;
  return {
    ...tableOf(planned),
    tableOf,
    softErrors: [...opened.softErrors, ...objects.softErrors],
    feeds: [...feeds.values()],
    commit() {
      cuts = cutBack(opened.cuts, corePath);
      try {
        objects.start();
      } catch (error) {
        this.undo();
        throw error;
      }
      return cuts.done.map(({ path, tailPath, tailBytes }) => ({
        kind: "file",
        id: path,
        message: `file ${path} was cut back by ${tailBytes} bytes, which are saved in ${tailPath}`,
      }));
    },
    handOver: () => objects[Symbol.dispose](),
    undo() {
      cuts?.undo();
      cuts = null;
    },
    [Symbol.dispose]() {
      for (const one of placed.values()) {
        if (cuts === null) discardPlacement(one);
        else if (one.owned) closeSync(one.fd);
      }
      for (const feed of feeds.values()) feed[Symbol.dispose]();
      objects[Symbol.dispose]();
      opened[Symbol.dispose]();
    },
  };
}

function restoredOf(planned: readonly PlannedDescriptor[]): InsideDescriptor[] {
  const own = planned.flatMap((plan) =>
    plan.to === "description" || plan.to === "object" || plan.to === "inside" ? [plan] : [],
  );
  return own.filter(
    ({ description }, index) => own.findIndex((one) => one.description === description) === index,
  );
}

type InheritedDescriptor = Exclude<PlannedDescriptor, { to: "inside" }>;

function isInherited(plan: PlannedDescriptor): plan is InheritedDescriptor {
  return plan.to !== "inside";
}

function sourceOf(
  plan: InheritedDescriptor,
  { opened, objects, placed, feeds }: Parts,
): FileSource | undefined {
  switch (plan.to) {
    case "description":
      return opened.byId.get(plan.description.id);
    case "object":
      return objects.byId.get(plan.description.id);
    case "placement":
      return asSource(placed.get(plan.placement));
    case "feed": {
      const feed = feeds.get(plan.description.id);
      return feed && { fd: feed.readFd, position: null, descriptionId: null };
    }
  }
}

function asSource(placed: PlacedDescriptor | undefined): FileSource | undefined {
  return placed && { fd: placed.fd, position: placed.position, descriptionId: null };
}

/** Descriptors that share a description share a source; the caller's 0 may be inherited more than once, too. */
function indexOf(sources: FileSource[], source: FileSource): number {
  const found = sources.findIndex(({ fd }) => fd === source.fd);
  return found >= 0 ? found : sources.push(source) - 1;
}
