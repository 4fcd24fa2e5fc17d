/**
 * Puts the recorded bytes into the new mappings: threads of cr read the core, prove its checksums and write into the
 * newborn, so that reading, unpacking, page faults and copying go on side by side (native/fill.c).
 */
import type { Heritage } from "../core/chain.js";
import { CrError } from "../errors.js";
import { hex } from "../state/address.js";
import type { PageSource } from "../state/frame.js";
import type { PageRun } from "../state/pages.js";
import type { Vma } from "../state/vma.js";
import { fillMemory } from "../tracee/frames.js";

export interface Filling {
  readonly vmas: readonly Vma[];
  readonly runs: readonly PageRun[];
  /** Cores of other tools carry no checksums. */
  readonly checked: boolean;
}

/**
 * Fills every run that does not come from a mapped file. Runs and mappings are in order of address. CORE_CORRUPT where a
 * checksum differs: nothing of the program has run by then. CORE_TRUNCATED.
 */
export function fillPages(pid: number, { vmas, runs, checked }: Filling, source: PageSource): void {
  const fresh: PageRun[] = [];
  const over: PageRun[] = [];
  eachInMapping(vmas, runs, (run, { kind }) => {
    if (kind === "special" || kind === "shared-file" || run.sameAsFile) return;
    // Zeros over a file's bytes must be written; fresh anonymous memory has them already.
    (kind === "file" ? over : fresh).push(run);
  });
  const parts = [
    { ranges: over, found: fillMemory(pid, source, { ranges: over, fresh: false }) },
    { ranges: fresh, found: fillMemory(pid, source, { ranges: fresh, fresh: true }) },
  ];
  if (checked) for (const part of parts) compare(source.path, part);
}

/**
 * Fills what earlier cores hold of a delta's memory: private memory that nothing else is written to, so that the order
 * does not matter. The delta has the checksums. Throws as `fillPages`.
 */
export function fillInherited(pid: number, heritage: readonly Heritage[]): void {
  for (const { core, runs } of heritage) {
    compare(core.path, { ranges: runs, found: fillMemory(pid, core.pages, { ranges: runs, fresh: true }) });
  }
}

/**
 * Which runs nobody looks at before they are filled in: their checksums need not be proved twice.
 */
export function onlyFilled(vmas: readonly Vma[], runs: readonly PageRun[]): (run: PageRun) => boolean {
  // By address: whoever reads the core again has runs of its own.
  const found = new Set<bigint>();
  eachInMapping(vmas, runs, ({ address, sameAsFile }, { kind }) => {
    if (kind === "anonymous" && !sameAsFile) found.add(address);
  });
  return ({ address }) => found.has(address);
}

function compare(
  path: string,
  { ranges, found }: { readonly ranges: readonly PageRun[]; readonly found: readonly number[] },
): void {
  const wrong = ranges.find(({ crc32c }, index) => crc32c !== found[index]);
  if (wrong === undefined) return;
  const what = `the pages at ${hex(wrong.address)} (file offset ${wrong.fileOffset}) do not match their checksum`;
  throw new CrError("CORE_CORRUPT", `cannot restore ${path}: ${what}`, {
    hint: "restore an earlier checkpoint; cr verify tells which ones are good",
    data: { path },
  });
}

/** Calls `act` for each run with the mapping it lies in; not for those that lie in none here. */
function eachInMapping(
  vmas: readonly Vma[],
  runs: readonly PageRun[],
  act: (run: PageRun, vma: Vma) => void,
): void {
  let index = 0;
  for (const run of runs) {
    while ((vmas[index]?.end ?? run.address + 1n) <= run.address) index += 1;
    const vma = vmas[index];
    if (vma !== undefined && run.address >= vma.start) act(run, vma);
  }
}
