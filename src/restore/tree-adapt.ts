/**
 * The members of a tree as they can be on this host: with the vdso of another kernel led to this one's, and without what
 * the caller consents to lack. As `adapt` of restore.ts does for a lone process.
 */
import type { Bundle, LivingMember } from "../core/bundle.js";
import { coreMemory } from "../core/core-memory.js";
import { cpuFeatures } from "../host/cpu-features.js";
import type { ProcessState } from "../state/process.js";
import type { SoftError } from "../state/soft-error.js";
import { ownVdso } from "../tracee/vdso.js";
import { asSeenHere } from "./caller-groups.js";
import { requireConsent } from "./consent.js";
import { type ForeignVdso, planForeignVdso } from "./vdso.js";

export interface AdaptedTree {
  readonly bundle: Bundle;
  /** Of each living member; null where its vdso is this kernel's. */
  readonly vdsos: readonly (ForeignVdso | null)[];
  readonly softErrors: readonly SoftError[];
}

export interface AdaptOptions {
  readonly skip?: readonly string[] | undefined;
  /** cr does not stay the root's parent. */
  readonly detach: boolean;
  readonly callerGroups?: readonly number[] | null | undefined;
}

/** VDSO_MISMATCH, or UNSUPPORTED_STATE that names what needs consent, with the member's number. */
export function adaptMembers(bundle: Bundle, { skip = [], detach, callerGroups }: AdaptOptions): AdaptedTree {
  const own = ownVdso();
  const cpu = cpuFeatures();
  const [root] = bundle.living;
  if (root !== undefined) requireConsent(lackingAll(root.state, bundle), { skip, detach, cpu });
  const adapted = bundle.living.map((one, index) => {
    const { core } = withMemory(one, bundle.living);
    const recorded = asSeenHere(one.state, callerGroups ?? null);
    const vdso = planForeignVdso(recorded, { own, memory: coreMemory(core, core.segments) });
    const { state, softErrors } = requireConsent(
      { ...recorded, vmas: vdso?.vmas ?? recorded.vmas },
      { skip, detach: detach && index === 0, cpu },
    );
    return { member: { ...one, state }, vdso, softErrors: [...(vdso?.softErrors ?? []), ...softErrors] };
  });
  return {
    bundle: { ...bundle, living: adapted.map(({ member }) => member) },
    vdsos: adapted.map(({ vdso }) => vdso),
    softErrors: once(adapted.flatMap(({ softErrors }) => softErrors)),
  };
}

/** The root without all that any member goes without, so that all of it is told at once. */
function lackingAll(root: ProcessState, { living }: Bundle): ProcessState {
  const leftOut = living.flatMap(({ state }) => state.process.leftOut);
  return { ...root, process: { ...root.process, leftOut } };
}

/** The member whose core has the memory. */
function withMemory(one: LivingMember, living: readonly LivingMember[]): LivingMember {
  const maker = one.member.shares.find(({ what }) => what === "vm")?.with;
  return living.find(({ member }) => member.pid === maker) ?? one;
}

/** What is the same for all is told once. */
function once(softErrors: readonly SoftError[]): SoftError[] {
  const byText = new Map(softErrors.map((one) => [`${one.kind} ${one.id} ${one.message}`, one]));
  return [...byText.values()];
}
