/** Process trees under test: who is in one, whether all of it runs, and bundles read whole. */
import { readdirSync } from "node:fs";
import { openBundle } from "../../src/core/bundle.js";
import type { ProcessState } from "../../src/state/process.js";
import type { Tree } from "../../src/state/tree.js";
import { familyOf } from "../../src/tracee/kin.js";
import { type Identity, identify } from "./process.js";

/** The living members of a tree, the root first. */
export function membersOf(root: number): Identity[] {
  return familyOf(root)
    .filter(({ isDead }) => !isDead)
    .map(({ pid }) => identify(pid));
}

/** A bundle's manifest and the state in each of its cores. */
export function readBundle(folder: string): {
  readonly tree: Tree;
  readonly states: ReadonlyMap<number, ProcessState>;
  readonly files: readonly string[];
} {
  using bundle = openBundle(folder);
  const states = new Map(bundle.living.map(({ member, state }) => [member.pid, state] as const));
  return { tree: bundle.tree, states, files: readdirSync(folder).sort() };
}
