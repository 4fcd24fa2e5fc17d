/**
 * A whole core from a delta and the cores it builds on. The delta's own data stay where they are, because what it tells
 * of files and pipes names places among them; inherited pages come behind, then new notes.
 */
import { aliasesOf } from "../checkpoint/object-contents.js";
import { OutputFile } from "../checkpoint/output.js";
import { withAliases } from "../core/alias-segments.js";
import { type Heritage, openChain } from "../core/chain.js";
import { tailOffsetOf } from "../core/header-checksum.js";
import { planCore } from "../core/layout.js";
import { readState } from "../core/read-state.js";
import { openCore } from "../core/reader.js";
import { writeCoreTail } from "../core/writer.js";
import { CrError } from "../errors.js";
import { hex } from "../state/address.js";
import type { PageRun } from "../state/pages.js";
import type { ProcessState } from "../state/process.js";
import { placeInto } from "../tracee/frames.js";
import { unpack } from "../tracee/unpack.js";
import { copyData, type Exported, exportCore, requireWhole } from "./export.js";

/**
 * Writes the core at `path`, whole and plain, to `to`: a copy of one that is whole already. Throws what opening a core
 * and its ancestors throws, CORE_CORRUPT, OUTPUT_EXISTS, OUTPUT_UNSAFE, OUTPUT_FAILED.
 */
export function mergeCore(path: string, to: string, options: { readonly force: boolean }): Exported {
  using core = openCore(path, { unpack });
  const state = core.origin === "recore" ? readState(core) : null;
  if (state?.delta === undefined) return exportCore(path, to, options);
  using chain = openChain(core.path, state, { unpack });
  using output = OutputFile.create(to, { force: options.force, compress: null });
  copyData(output.fd, core);
  let tailOffset = tailOffsetOf(path, core.segments);
  const inherited: PageRun[] = [];
  for (const { core: ancestor, runs } of chain.heritage) {
    const placed = placedFrom(tailOffset, runs);
    const found = placeInto(output.fd, ancestor.pages, placed);
    requireSame({ core: ancestor, runs }, found);
    tailOffset = placed.reduce((_, { placeOffset, lengthBytes }) => placeOffset + lengthBytes, tailOffset);
    inherited.push(...placed.map(({ placeOffset, ...run }) => ({ ...run, fileOffset: placeOffset })));
  }
  const { sizeBytes } = writeWhole(output.fd, { state, inherited, tailOffset });
  requireWhole(output.fd, path);
  output.commit();
  return { from: path, core: output.path, sizeBytes };
}

/** One behind the other. */
function placedFrom(
  offset: number,
  runs: readonly PageRun[],
): (PageRun & { readonly placeOffset: number })[] {
  let next = offset;
  return runs.map((run) => {
    const placeOffset = next;
    next += run.lengthBytes;
    return { ...run, placeOffset };
  });
}

function requireSame({ core, runs }: Heritage, found: readonly number[]): void {
  const wrong = runs.find(({ crc32c }, index) => crc32c !== found[index]);
  if (wrong === undefined) return;
  const what = `the pages at ${hex(wrong.address)}, which a delta inherits, do not match their checksum`;
  throw new CrError("CORE_CORRUPT", `read core ${core.path}: ${what}`, {
    hint: "use an older checkpoint; cr verify tells what is damaged",
    data: { path: core.path },
  });
}

/** Notes and headers of the core with all its pages, behind them. */
function writeWhole(
  fd: number,
  {
    state: { delta: _, ...state },
    inherited,
    tailOffset,
  }: { readonly state: ProcessState; readonly inherited: readonly PageRun[]; readonly tailOffset: number },
) {
  const runs = [...state.runs, ...inherited].sort((a, b) => (a.address < b.address ? -1 : 1));
  const { segments } = planCore(state.vmas, runs);
  const layout = { segments: withAliases(segments, aliasesOf(state.vmas)) };
  return writeCoreTail(fd, { layout, state: { ...state, runs }, tailOffset });
}
