/**
 * The tables of a delta: runs of pages that it holds itself, and of pages that stand in earlier cores. There are a hundred
 * thousand of them and the checkpoint waits, so they are laid out column by column, with no object for each.
 */
import { PAGE_BYTES } from "../state/address.js";
import { type RunColumns, RunTable, runColumns } from "../state/run-table.js";
import type { PageBase, PageRuns } from "./page-base.js";
import type { StoredRange } from "./pages.js";
import { ZERO_CHECKSUM } from "./places.js";

/** Both, and how many pages of its own are zero; `stored` are the spans of the base, the delta is behind so many cores. */
export function tablesOf(
  base: PageBase,
  stored: readonly StoredRange[],
  levels: number,
): { readonly runs: RunTable; readonly inherited: RunTable; readonly zero: number } {
  const all = base.runs();
  let [ownCount, zero] = [0, 0];
  for (let run = 0; run < all.count; run += 1) {
    const first = all.firsts[run] as number;
    if (base.levelOf(first) < levels) continue;
    ownCount += 1;
    zero += base.countOf(ZERO_CHECKSUM, first, all.ends[run] as number);
  }
  const [own, inherited] = [runColumns(ownCount), runColumns(all.count - ownCount)];
  let [ownRow, inheritedRow] = [0, 0];
  for (let run = 0; run < all.count; run += 1) {
    const level = base.levelOf(all.firsts[run] as number);
    const stretch = all.stretches[run] as number;
    if (level < levels) {
      fill(inherited, inheritedRow, { base, all, run });
      inherited.tags[inheritedRow] = levels - 1 - level;
      inheritedRow += 1;
    } else {
      fill(own, ownRow, { base, all, run });
      own.tags[ownRow] = stored[stretch]?.sameAsFile === true ? 1 : 0;
      ownRow += 1;
    }
  }
  return { runs: RunTable.of(own), inherited: RunTable.of(inherited), zero };
}

function fill(
  { firsts, places, pages, checksums }: RunColumns,
  row: number,
  { base, all, run }: { readonly base: PageBase; readonly all: PageRuns; readonly run: number },
): void {
  const [first, end] = [all.firsts[run] as number, all.ends[run] as number];
  firsts[row] = base.addressOf(first, all.stretches[run] as number) / PAGE_BYTES;
  places[row] = base.placeOf(first) / PAGE_BYTES;
  pages[row] = end - first;
  checksums[row] = base.checksumOf(first, end);
}
