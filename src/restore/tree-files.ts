/**
 * The descriptors of a process tree: each description of the tree is opened once, from the records of all members that
 * have it (state/tree.ts tells what is equal in them), and every member gets a table of its own.
 */
import { CrError } from "../errors.js";
import type { FileDescription, FileState } from "../state/fd.js";
import type { ProcessState } from "../state/process.js";
import type { PlacedContent } from "./content.js";
import { type PlannedDescriptor, planDescriptors } from "./descriptor-plan.js";
import type { FdPlacement } from "./fd-placement.js";
import {
  type DescriptorTable,
  type InsideDescriptor,
  openPlanned,
  type PreparedFiles,
  type PrepareOptions,
} from "./files.js";
import { mappedOfAll } from "./mapped-files.js";

/** A member as far as its descriptors go. */
export interface FileOwner {
  readonly pid: number;
  readonly files: FileState;
  readonly state: ProcessState;
  /** Its core, open for reading. */
  readonly coreFd: number;
}

const STANDARD = [0, 1, 2];

/**
 * Opens what the members need. `placements` are for descriptors of the first one, the root, and go for all that have
 * the same description. Throws as `prepareFiles`, and UNSUPPORTED_STATE for what cannot be shared.
 */
export function prepareTreeFiles(
  owners: readonly FileOwner[],
  options: PrepareOptions,
): { readonly prepared: PreparedFiles; readonly tables: readonly DescriptorTable[] } {
  const merged = mergeDescriptions(owners);
  const given = standardPlaces(owners, options.placements);
  const holders = holdersById(owners);
  const plans = owners.map(({ pid, files }, index) => {
    const descriptions = files.descriptions.map((one) => merged.get(one.id) ?? one);
    const placements = index === 0 ? options.placements : [];
    const planned = planDescriptors({ ...files, descriptions }, { placements, foreign: false, given, pid });
    return planned.map((plan) => inherited(plan, holders));
  });
  const prepared = openPlanned(plans.flat(), options, mappedOfAll(owners));
  const tables = plans.map((planned, index) => {
    const own = new Map(owners[index]?.files.descriptions.map((one) => [one.id, one]));
    return ownTable(prepared.tableOf(planned), own);
  });
  return { prepared, tables };
}

/** One record of each description: with the bytes, wherever they stand, and everybody's locks. */
export function mergeDescriptions(owners: readonly FileOwner[]): Map<number, FileDescription> {
  const merged = new Map<number, FileDescription>();
  for (const { files, coreFd } of owners) {
    for (const record of files.descriptions) {
      const content: PlacedContent | null = record.content && { ...record.content, coreFd };
      const known = merged.get(record.id);
      if (known === undefined) {
        merged.set(record.id, { ...record, content });
        continue;
      }
      const locks = [...known.locks, ...record.locks.filter(({ how }) => how === "posix")];
      merged.set(record.id, { ...known, locks, content: known.content ?? content });
    }
  }
  return merged;
}

/** Where descriptions lead whose far end is outside: to the lowest of 0 to 2 at which any member has them. */
function standardPlaces(
  owners: readonly FileOwner[],
  asked: readonly FdPlacement[],
): Map<number, FdPlacement> {
  const given = new Map<number, FdPlacement>();
  const [root] = owners;
  for (const placement of asked) {
    const id = root?.files.descriptors.find(({ fd }) => fd === placement.fd)?.description;
    if (id !== undefined) given.set(id, placement);
  }
  const fed = new Set(
    owners.flatMap(({ files }) => files.descriptions.flatMap(({ id, content }) => (content ? [id] : []))),
  );
  for (const fd of STANDARD) {
    for (const { files } of owners) {
      const id = files.descriptors.find((one) => one.fd === fd)?.description;
      const description = files.descriptions.find((one) => one.id === id);
      if (description === undefined || given.has(description.id) || fed.has(description.id)) continue;
      if (description.kind !== "terminal" && description.kind !== "outside") continue;
      given.set(description.id, { fd, target: { kind: "inherit" } });
    }
  }
  return given;
}

function holdersById(owners: readonly FileOwner[]): Map<number, Set<number>> {
  const holders = new Map<number, Set<number>>();
  for (const { pid, files } of owners) {
    for (const { description } of files.descriptors) {
      holders.set(description, (holders.get(description) ?? new Set()).add(pid));
    }
  }
  return holders;
}

/** What a process alone makes inside itself has to be made outside when several have it. */
function inherited(
  plan: PlannedDescriptor,
  holders: ReadonlyMap<number, ReadonlySet<number>>,
): PlannedDescriptor {
  if (plan.to !== "inside") return plan;
  const { description } = plan;
  const pids = [...(holders.get(description.id) ?? [])];
  if (pids.length < 2) return plan;
  if (description.kind === "epoll") return { ...plan, to: "object" };
  const message = `restore ${description.path}: processes ${pids.join(", ")} share one open file of it, which only one can open`;
  throw new CrError("UNSUPPORTED_STATE", message, {
    hint: "checkpoint the tree when it is closed",
    data: { pids },
  });
}

/** The table with a member's own records: its POSIX locks, its part of what epoll instances watch. */
function ownTable(table: DescriptorTable, own: ReadonlyMap<number, FileDescription>): DescriptorTable {
  const recorded = (one: InsideDescriptor): InsideDescriptor => ({
    ...one,
    description: own.get(one.description.id) ?? one.description,
  });
  const restored = table.restored.map(recorded);
  const made = new Set(table.inside.map(({ description }) => description.id));
  return {
    ...table,
    inside: table.inside.map(recorded),
    restored,
    watching: restored.filter(({ description }) => description.kind === "epoll" && !made.has(description.id)),
  };
}
