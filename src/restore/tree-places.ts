/** On which CPUs the threads of a process tree are to run: chosen for all of them together. */
import type { LivingMember } from "../core/bundle.js";
import type { Placed } from "./placed.js";
import type { RestoreOptions } from "./restore.js";

export interface TreePlaces extends Pick<Placed, "softErrors" | "confine"> {
  /** Of each living member, one affinity a thread. */
  readonly affinities: readonly (readonly (readonly number[])[])[];
}

/** Asks `place` of the options, or takes what was recorded. */
export function placesOf(living: readonly LivingMember[], { place }: RestoreOptions): TreePlaces {
  const recorded = living.map(({ state }) => state.threads.map(({ affinity }) => affinity));
  const placed = place?.(recorded.flat());
  if (placed === undefined) return { affinities: recorded, softErrors: [], confine: () => {} };
  let next = 0;
  const affinities = recorded.map((threads) => {
    next += threads.length;
    return placed.affinity.slice(next - threads.length, next);
  });
  return { affinities, softErrors: placed.softErrors, confine: placed.confine };
}
