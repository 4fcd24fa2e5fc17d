/** Stretches of pages with their places in a file, as columns of numbers in order of address. Pure arithmetic. */
import { PAGE_BYTES } from "../state/address.js";
import type { Span } from "../tracee/range-list.js";

/** What of a span lies in a stretch: their numbers, and its addresses. It is another part after the call. */
export interface Part {
  extent: number;
  start: number;
  end: number;
  span: number;
}

/** What stands for a stretch: its place, and the number of its first page in columns of the caller's. */
export interface Held {
  readonly fileOffset: number;
  readonly page: number;
}

export class Extents {
  starts: Float64Array;
  ends: Float64Array;
  offsets: Float64Array;
  pages: Float64Array;
  count = 0;

  /** Room for so many is made at once. */
  constructor(room: number) {
    [this.starts, this.ends] = [new Float64Array(room), new Float64Array(room)];
    [this.offsets, this.pages] = [new Float64Array(room), new Float64Array(room)];
  }

  /** One more, behind all others. */
  add(start: number, end: number, { fileOffset, page }: Held): void {
    if (this.count === this.starts.length) this.#grow();
    const at = this.count;
    this.starts[at] = start;
    this.ends[at] = end;
    this.offsets[at] = fileOffset;
    this.pages[at] = page;
    this.count += 1;
  }

  #grow(): void {
    const room = Math.max(16, this.count * 2);
    const larger = (column: Float64Array) => {
      const grown = new Float64Array(room);
      grown.set(column);
      return grown;
    };
    [this.starts, this.ends] = [larger(this.starts), larger(this.ends)];
    [this.offsets, this.pages] = [larger(this.offsets), larger(this.pages)];
  }

  /** Number of the first one that ends behind the address; `count` when there is none. */
  indexAt(address: number): number {
    let low = 0;
    for (let high = this.count; low < high; ) {
      const middle = (low + high) >> 1;
      if ((this.ends[middle] as number) <= address) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  /** Number of the page at an address of this stretch. */
  pageOf(extent: number, address: number): number {
    return (this.pages[extent] as number) + (address - (this.starts[extent] as number)) / PAGE_BYTES;
  }

  /** Visits what of the spans, or of other stretches, which are in order, lies in these. */
  within(spans: readonly Span[] | Extents, visit: (part: Part) => void): void {
    const part: Part = { extent: 0, start: 0, end: 0, span: 0 };
    const [table, list] = spans instanceof Extents ? [spans, []] : [null, spans];
    const count = table?.count ?? list.length;
    let next = 0;
    for (let span = 0; span < count; span += 1) {
      const start = table === null ? (list[span] as Span).start : (table.starts[span] as number);
      const end = table === null ? (list[span] as Span).end : (table.ends[span] as number);
      next = this.#from(next, start);
      while (next < this.count && (this.starts[next] as number) < end) {
        const last = this.ends[next] as number;
        part.extent = next;
        part.start = Math.max(start, this.starts[next] as number);
        part.end = Math.min(end, last);
        part.span = span;
        visit(part);
        if (last > end) break;
        next += 1;
      }
    }
  }

  /** Visits what of the spans, which are in order, lies in none. */
  outside(spans: readonly Span[], visit: (start: number, end: number) => void): void {
    let next = 0;
    for (const { start, end } of spans) {
      let at = start;
      for (
        next = this.#from(next, start);
        next < this.count && (this.starts[next] as number) < end;
        next += 1
      ) {
        if ((this.starts[next] as number) > at) visit(at, this.starts[next] as number);
        at = this.ends[next] as number;
      }
      if (at < end) visit(at, end);
    }
  }

  /** `indexAt`, which is `hint` or the next one where addresses come in order. */
  #from(hint: number, address: number): number {
    const isBehind = (index: number) => index === 0 || (this.ends[index - 1] as number) <= address;
    for (const guess of [hint, hint + 1]) {
      if (guess <= this.count && isBehind(guess) && !(guess < this.count && isBehind(guess + 1)))
        return guess;
    }
    return this.indexAt(address);
  }

  /** These and others, none of which overlap. */
  and(others: Extents): Extents {
    if (this.count === 0) return others;
    const all = new Extents(this.count + others.count);
    let other = 0;
    for (let own = 0; own <= this.count; own += 1) {
      const until = own < this.count ? (this.starts[own] as number) : Number.POSITIVE_INFINITY;
      for (; other < others.count && (others.starts[other] as number) < until; other += 1)
        all.#copy(others, other);
      if (own < this.count) all.#copy(this, own);
    }
    return all;
  }

  #copy(from: Extents, at: number): void {
    const [fileOffset, page] = [from.offsets[at] as number, from.pages[at] as number];
    this.add(from.starts[at] as number, from.ends[at] as number, { fileOffset, page });
  }

  /** What is left without the spans, which are in order. */
  without(spans: readonly Span[]): Extents {
    const left = new Extents(this.count);
    let next = 0;
    for (let extent = 0; extent < this.count; extent += 1) {
      const [start, end] = [this.starts[extent] as number, this.ends[extent] as number];
      const keep = (from: number, to: number) => {
        if (to <= from) return;
        const fileOffset = (this.offsets[extent] as number) + from - start;
        left.add(from, to, { fileOffset, page: this.pageOf(extent, from) });
      };
      while ((spans[next]?.end ?? Number.POSITIVE_INFINITY) <= start) next += 1;
      let at = start;
      for (let index = next; at < end; index += 1) {
        keep(at, Math.min(spans[index]?.start ?? end, end));
        at = Math.max(at, Math.min(spans[index]?.end ?? end, end));
      }
    }
    return left;
  }
}
