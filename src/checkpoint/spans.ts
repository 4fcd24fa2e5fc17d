/** Kinds of mappings for a copy in rounds, and arithmetic on spans of their pages: pure but for what it is given. */
import type { Vma } from "../state/vma.js";
import type { SpanSource } from "../tracee/page-spans.js";
import type { Span } from "../tracee/range-list.js";

/** Memory that only this process can reach: its writes go through its page table, so they can be tracked. */
export function isPrivate({ kind }: Pick<Vma, "kind">): boolean {
  return kind === "anonymous" || kind === "file";
}

/** Memory that fork(2) copies: private, and neither MADV_DONTFORK nor MADV_WIPEONFORK. */
export function isForked(vma: Vma): boolean {
  return isPrivate(vma) && !vma.flags.includes("dc") && !vma.flags.includes("wf");
}

/** What is left of them to be copied from the process itself where it is forked. */
export function unforked(vmas: readonly Vma[]): Vma[] {
  return vmas.filter((vma) => !isForked(vma));
}

/**
 * What is tracked: anonymous memory. Of a private file mapping a page that the program gave up shows the file's bytes
 * again, and who wrote it is asked page by page; there is little of it, so all of it is left for the stop.
 */
export function isTracked({ kind }: Vma): boolean {
  return kind === "anonymous";
}

/** The pages of a range or run. */
export function spanOf({
  address,
  lengthBytes,
}: {
  readonly address: bigint;
  readonly lengthBytes: number;
}): Span {
  return { start: Number(address), end: Number(address) + lengthBytes };
}

/** Pages of private mappings that are not their file's. */
export function ownPages(vmas: readonly Vma[], census: SpanSource): Span[] {
  return census
    .spansOf(vmas)
    .flat()
    .filter(({ file, guard }) => !file && !guard)
    .map(({ start, end }) => ({ start: Number(start), end: Number(end) }));
}

/** The parts of a span where there is anything but a guard: some of it may not even be mapped. */
export function heldParts(source: SpanSource, { start, end }: Span): Span[] {
  const [spans = []] = source.spansOf([{ start: BigInt(start), end: BigInt(end) }]);
  return spans
    .filter(({ guard }) => !guard)
    .map((held) => ({ start: Number(held.start), end: Number(held.end) }));
}

/** The parts of the spans that lie in the mappings, or in other spans; both in order. */
export function clip(spans: readonly Span[], vmas: readonly (Pick<Vma, "start" | "end"> | Span)[]): Span[] {
  let first = 0;
  return vmas.flatMap((vma) => {
    const [from, to] = [Number(vma.start), Number(vma.end)];
    while ((spans[first]?.end ?? Number.POSITIVE_INFINITY) <= from) first += 1;
    const parts: Span[] = [];
    for (let at = first; at < spans.length; at += 1) {
      const { start, end } = spans[at] as Span;
      if (start >= to) break;
      parts.push({ start: Math.max(start, from), end: Math.min(end, to) });
    }
    return parts;
  });
}

/** In order, without overlaps. Those that stay as they are, most of tens of thousands, are not made anew. */
export function merge(spans: readonly Span[]): Span[] {
  const isInOrder = (span: Span, index: number) =>
    index === 0 || (spans[index - 1] as Span).start <= span.start;
  const sorted = spans.every(isInOrder) ? spans : [...spans].sort((a, b) => a.start - b.start);
  const merged: Span[] = [];
  let last: Span | null = null;
  for (const span of sorted) {
    if (last === null || span.start > last.end) last = span;
    else if (span.end <= last.end) continue;
    else {
      last = { start: last.start, end: span.end };
      merged.pop();
    }
    merged.push(last);
  }
  return merged;
}
