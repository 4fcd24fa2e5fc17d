/**
 * The tables of a delta: runs of pages that it holds itself, and of pages that stand in earlier cores. There are a hundred
 * thousand of them and the checkpoint waits, so they are laid out column by column, with no object for each.
 */
import { PAGE_BYTES } from "../state/address.js";
import { RunTable, runColumns } from "../state/run-table.js";
import type { PageBase, PageRuns } from "./page-base.js";
import type { StoredRange } from "./pages.js";
import { ZERO_CHECKSUM } from "./places.js";

/** Numbers of runs, and a tag for each. */
interface Chosen {
  readonly numbers: Uint32Array;
  readonly tags: Uint16Array;
}

/** Both, and how many pages of its own are zero; `stored` are the spans of the base, the delta is behind so many cores. */
export function tablesOf(
  base: PageBase,
  stored: readonly StoredRange[],
  levels: number,
): { readonly runs: RunTable; readonly inherited: RunTable; readonly zero: number } {
  const all = base.runs();
  const [own, others] = [chosen(all.count), chosen(all.count)];
  let [ownCount, otherCount, zero] = [0, 0, 0];
  for (let run = 0; run < all.count; run += 1) {
    const first = all.firsts[run] as number;
    const level = base.levelOf(first);
    if (level < levels) {
      others.numbers[otherCount] = run;
      others.tags[otherCount] = levels - 1 - level;
      otherCount += 1;
      continue;
    }
    own.numbers[ownCount] = run;
    own.tags[ownCount] = stored[all.stretches[run] as number]?.sameAsFile === true ? 1 : 0;
    ownCount += 1;
    zero += base.countOf(ZERO_CHECKSUM, first, all.ends[run] as number);
  }
  return {
    runs: tableOf(base, all, cutTo(own, ownCount)),
    inherited: tableOf(base, all, cutTo(others, otherCount)),
    zero,
  };
}

function chosen(room: number): Chosen {
  return { numbers: new Uint32Array(room), tags: new Uint16Array(room) };
}

function cutTo({ numbers, tags }: Chosen, count: number): Chosen {
  return { numbers: numbers.subarray(0, count), tags: tags.subarray(0, count) };
}

function tableOf(base: PageBase, all: PageRuns, { numbers, tags }: Chosen): RunTable {
  const columns = runColumns(numbers.length);
  const { firsts, places, pages, checksums } = columns;
  columns.tags.set(tags);
  for (let row = 0; row < numbers.length; row += 1) {
    const run = numbers[row] as number;
    const [first, end] = [all.firsts[run] as number, all.ends[run] as number];
    firsts[row] = base.addressOf(first, all.stretches[run] as number) / PAGE_BYTES;
    places[row] = base.placeOf(first) / PAGE_BYTES;
    pages[row] = end - first;
    checksums[row] = base.checksumOf(first, end);
  }
  return RunTable.of(columns);
}
