/**
 * Segments of mappings that show what another one shows, too (shared memory): they stand in the file once, and debuggers
 * find them there for both.
 */
import type { Vma } from "../state/vma.js";
import type { Segment } from "./elf.js";

/** A mapping without pages of its own in the core, and one of the same object that has all of them. */
export interface Alias {
  readonly vma: Vma;
  readonly shownBy: Vma;
}

/** The segments, with those of every alias made from those of the mapping that shows it. */
export function withAliases(segments: readonly Segment[], aliases: readonly Alias[]): Segment[] {
  const byStart = new Map(aliases.map((alias) => [alias.vma.start, alias]));
  return segments.flatMap((segment) => {
    const alias = byStart.get(segment.address);
    if (alias === undefined) return [segment];
    const { start, end } = alias.shownBy;
    return segments
      .filter((one) => one.kind === "load" && one.address >= start && one.address < end)
      .flatMap((one) => shown(one, alias));
  });
}

/** The part of a segment that lies in the alias, at its address there. */
function shown(segment: Segment, { vma, shownBy }: Alias): Segment[] {
  const shift = vma.start - vma.offset - (shownBy.start - shownBy.offset);
  const address = segment.address + shift;
  const end = address + BigInt(segment.memoryBytes);
  const from = address < vma.start ? vma.start : address;
  const to = end < vma.end ? end : vma.end;
  if (to <= from) return [];
  const skipped = Number(from - address);
  const memoryBytes = Number(to - from);
  const fileBytes = Math.min(Math.max(segment.fileBytes - skipped, 0), memoryBytes);
  const offset = segment.offset + Math.min(skipped, segment.fileBytes);
  return [{ ...segment, prot: vma.prot.slice(0, 3), offset, address: from, fileBytes, memoryBytes }];
}
