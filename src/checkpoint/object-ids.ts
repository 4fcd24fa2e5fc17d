/**
 * Files behind mappings in all processes of a tree: one id each, none that an open file description has, and others
 * that use them looked for once, because that takes milliseconds.
 */

/** One file can be open in two ways, each with an id. */
const WAYS = 2;

export class ObjectIds {
  readonly #first: number;
  readonly #known = new Map<string, number>();
  readonly #others = new Map<string, readonly number[]>();

  constructor(first: number) {
    this.#first = first;
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
