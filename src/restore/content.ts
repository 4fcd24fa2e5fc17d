/**
 * Where the bytes of a description stand. In a tree those of each thing are stored once, in the core of one of the
 * members that had it, while all descriptions are opened together (tree-files.ts).
 */
import type { FileDescription } from "../state/fd.js";

export type Content = NonNullable<FileDescription["content"]>;

/** Content whose core is open in cr; the descriptor never comes from a core, whose unknown keys are dropped. */
export interface PlacedContent extends Content {
  readonly coreFd: number;
}

/** The core that holds the bytes: the one of the content where it says so, else `own`. */
export function coreOf(content: Content | PlacedContent, own: number): number {
  return "coreFd" in content ? content.coreFd : own;
}
