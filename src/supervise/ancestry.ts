/** Which cores of a job the others build on: what retention must not take away from under them. */
import { basename } from "node:path";
import { readAncestors } from "../core/read-core.js";
import { CrError } from "../errors.js";
import type { Generation } from "../store/generation.js";

/** What is known of the generations of a job, each read once at most. */
export class Ancestry {
  readonly #known = new Map<string, readonly string[]>();

  /** Takes down a core that was just written, and the one that it builds on. */
  note(core: string, parent: string | undefined): void {
    const names = parent === undefined ? [] : [basename(parent), ...(this.#known.get(parent) ?? [])];
    this.#known.set(core, names);
  }

  /**
   * File names of the cores that a generation builds on; none of a tree's, nor of one that cannot be read as a core. Other
   * failures are thrown: nothing may be removed then.
   */
  readonly of = ({ path }: Generation): readonly string[] => {
    const known = this.#known.get(path) ?? namesOf(path);
    this.#known.set(path, known);
    return known;
  };
}

/** A damaged core cannot be restored with its ancestors either. */
const DAMAGED: readonly string[] = ["BAD_CORE", "CORE_TRUNCATED", "CORE_CORRUPT", "FORMAT_VERSION"];

function namesOf(path: string): readonly string[] {
  try {
    return readAncestors(path);
  } catch (error) {
    if (error instanceof CrError && DAMAGED.includes(error.code)) return [];
    throw error;
  }
}
