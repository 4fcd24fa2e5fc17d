/** The members of a tree, made by one another and standing, become what was recorded: one after the other, parents first. */
import type { Bundle, LivingMember } from "../core/bundle.js";
import type { SoftError } from "../state/soft-error.js";
import { type Relatives, startImage } from "./family.js";
import type { FamilyPlan } from "./family-plan.js";
import type { DescriptorTable } from "./files.js";
import { rejoinGroups } from "./groups.js";
import type { Inheritance } from "./inherit.js";
import { partOf } from "./kinship.js";
import { openWorkshop, rebuild } from "./rebuild.js";
import type { MadeSpaces } from "./spaces.js";
import type { OpenedIpc } from "./sysv-ipc.js";
import type { TreePlaces } from "./tree-places.js";
import type { ForeignVdso } from "./vdso.js";
import type { Workshop } from "./workshop.js";

interface Parts {
  readonly bundle: Bundle;
  readonly plan: FamilyPlan;
  readonly placed: TreePlaces;
  /** These and the tables in the order of the living members. */
  readonly inheritances: readonly Inheritance[];
  readonly tables: readonly DescriptorTable[];
  readonly ipc: OpenedIpc;
  readonly spaces: MadeSpaces;
  /** Of another kernel. */
  readonly vdsos: readonly (ForeignVdso | null)[];
}

/** Rebuilds all, up to the instant before they are let go. What is not as it was is returned; RESTORE_FAILED, … */
export function rebuildAll(family: Relatives, parts: Parts): SoftError[] {
  const { bundle, placed, inheritances, plan, tables, vdsos } = parts;
  const ready = new Set([bundle.tree.root, ...plan.images.keys(), ...plan.images.values()]);
  const living = bundle.living.map(({ member }) => member);
  for (const { member, state } of bundle.living) parts.spaces.enter(family.at(member.pid), state);
  return bundle.living.flatMap(({ member, state, core }, index) => {
    const workshop = family.at(member.pid);
    const isReady = ready.has(member.pid);
    if (!isReady) startImage(workshop, state);
    const soft = rejoinGroups(workshop.newborn.pid, state);
    placed.confine(workshop.newborn.pid);
    rebuild(workshop.newborn, {
      state,
      pages: core.pages,
      inheritance: at(inheritances, index),
      prepared: at(tables, index),
      affinity: at(placed.affinities, index),
      foreign: false,
      vdso: vdsos[index] ?? null,
      ipc: parts.ipc,
      part: partOf(member, living),
      ...(isReady ? { workshop } : {}),
    });
    return soft;
  });
}

/** Starts a member's executable while the others are still being made; it then stands at its entry point. */
export function startMember(workshop: Workshop, living: readonly LivingMember[]): Workshop {
  const { pid } = workshop.newborn;
  const found = living.find(({ member }) => member.pid === pid);
  if (found === undefined) throw new RangeError(`process ${pid} is no living member`);
  startImage(workshop, found.state);
  return openWorkshop(workshop.newborn, found.state);
}

function at<T>(list: readonly T[], index: number): T {
  const item = list[index];
  if (item === undefined) throw new RangeError(`there is no member ${index}`);
  return item;
}
