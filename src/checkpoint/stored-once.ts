/**
 * What several processes of a tree hold is stored in one core: contents behind descriptions, files that are kept whole,
 * pages of shared anonymous memory. Members are copied one after the other, and the first that can have it keeps it.
 */

import type { StoredRange } from "../core/layout.js";
import { PAGE_BYTES } from "../state/address.js";
import type { FileDescription } from "../state/fd.js";
import type { KernelObject } from "../state/kernel-object.js";
import type { Vma } from "../state/vma.js";
import { objectOf } from "../tracee/maps.js";

/** A part of an object of shared memory, [start, end) in bytes. */
interface Span {
  readonly start: bigint;
  readonly end: bigint;
}

export class StoredOnce {
  readonly #contents = new Map<string, number | null>();
  readonly #objects = new Map<number, KernelObject | null>();
  readonly #paths = new Set<string>();
  readonly #memory: Map<string, Span[]>;
  readonly #lodgers: ReadonlySet<number>;

  /** `shared` names the objects of memory (`objectOf`) that several members map; `lodgers` live in another's memory. */
  constructor(shared: Iterable<string> = [], lodgers: Iterable<number> = []) {
    this.#memory = new Map([...shared].map((object) => [object, []]));
    this.#lodgers = new Set(lodgers);
  }

  /** True for a member whose whole memory is that of an earlier one. */
  isLodger(pid: number): boolean {
    return this.#lodgers.has(pid);
  }

  /** The pid of the member that has the content of this name, null when it is empty, undefined when nobody looked. */
  holderOf(content: string): number | null | undefined {
    return this.#contents.get(content);
  }

  hold(content: string, pid: number | null): void {
    this.#contents.set(content, pid);
  }

  /** What is behind a description, the same in every core. */
  object({ id }: FileDescription, look: () => KernelObject | null): KernelObject | null {
    const known = this.#objects.get(id);
    if (known !== undefined) return known;
    const object = look();
    this.#objects.set(id, object);
    return object;
  }

  isKept(path: string): boolean {
    return this.#paths.has(path);
  }

  keep(paths: readonly string[]): void {
    for (const path of paths) this.#paths.add(path);
  }

  /** `ranges` of a member's memory without what an earlier one has stored; both sorted, each range in one mapping. */
  unstored(vmas: readonly Vma[], ranges: readonly StoredRange[]): StoredRange[] {
    if (this.#memory.size === 0) return [...ranges];
    let next = 0;
    return ranges.flatMap((range) => {
      while ((vmas[next]?.end ?? range.address + 1n) <= range.address) next += 1;
      const vma = vmas[next];
      const stored = vma?.kind === "shared-anonymous" ? this.#memory.get(objectOf(vma)) : undefined;
      if (vma === undefined || stored === undefined) return [range];
      return this.#claim(vma, { range, stored });
    });
  }

  #claim(
    vma: Vma,
    { range, stored }: { readonly range: StoredRange; readonly stored: Span[] },
  ): StoredRange[] {
    const shift = vma.offset - vma.start;
    const start = range.address + shift;
    const left = without({ start, end: start + BigInt(range.lengthBytes) }, stored);
    stored.push(...left);
    stored.sort((a, b) => (a.start < b.start ? -1 : 1));
    return left.map((span) => ({
      ...range,
      address: span.start - shift,
      lengthBytes: Number(span.end - span.start),
    }));
  }
}

/** What of `span` is in none of `others`, which are sorted and apart. All are whole pages of PAGE_BYTES. */
export function without(span: Span, others: readonly Span[]): Span[] {
  if ((span.start | span.end) % BigInt(PAGE_BYTES) !== 0n) throw new RangeError("a span is not whole pages");
  const left: Span[] = [];
  let { start } = span;
  for (const other of others) {
    if (other.end <= start) continue;
    if (other.start >= span.end) break;
    if (other.start > start) left.push({ start, end: other.start });
    start = other.end;
  }
  if (start < span.end) left.push({ start, end: span.end });
  return left;
}
