/**
 * Files behind mappings in all processes of a tree: one id each, none that an open file description has, and others
 * that use them looked for once, because that takes milliseconds.
 */

import { isSegment, objectKey } from "../state/object-mapping.js";
import type { Vma } from "../state/vma.js";

/** One file can be open in two ways, each with an id. */
const WAYS = 2;

export class ObjectIds {
  readonly #first: number;
  readonly #known = new Map<string, number>();
  readonly #others = new Map<string, readonly number[]>();

  readonly #attached = new Map<string, number>();

  /** `vmas` are the mappings of all of them. */
  constructor(first: number, vmas: Iterable<Vma> = []) {
    this.#first = first;
    for (const vma of vmas) {
      if (isSegment(vma)) this.#attached.set(objectKey(vma), this.attachedTo(objectKey(vma)) + 1);
    }
  }

  /** Mappings of a System V segment in the tree, which the kernel counts as attachments (sysvipc(7)). */
  attachedTo(segment: string): number {
    return this.#attached.get(segment) ?? 0;
  }

  othersOf(object: string, look: () => readonly number[]): readonly number[] {
    const others = this.#others.get(object) ?? look();
    this.#others.set(object, others);
    return others;
  }

  of(object: string): number {
    const known = this.#known.get(object) ?? this.#first + WAYS * this.#known.size;
    this.#known.set(object, known);
    return known;
  }
}
