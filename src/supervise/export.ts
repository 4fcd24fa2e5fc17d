/** A plain core from whatever form it has: a compressed file, or a stream. What is written is proved before it has a name. */
import { ftruncateSync } from "node:fs";
import { OutputFile } from "../checkpoint/output.js";
import { tailOffsetOf } from "../core/header-checksum.js";
import { type CoreFile, openCore } from "../core/reader.js";
import { verifyCore } from "../core/verify.js";
import { CrError } from "../errors.js";
import { writeAll } from "../file-bytes.js";
import { nameOf } from "../host/own-descriptors.js";
import { PAGE_BYTES, RUN_BYTES_MAX } from "../state/address.js";
import { dataPieces } from "../tracee/data-spans.js";
import { checksumsOf, expandInto } from "../tracee/frames.js";
import { unpack } from "../tracee/unpack.js";

/** Ranges a call. */
const RANGES_AT_ONCE = 1024;

interface Range {
  readonly fileOffset: number;
  readonly lengthBytes: number;
}

export interface Exported {
  /** The core that was read, and the full path of the one that was written. */
  readonly from: string;
  readonly core: string;
  readonly sizeBytes: number;
}

/**
 * Writes the core at `path` as a plain file to `to`. Throws what opening a core throws, CORE_CORRUPT for a damaged one,
 * and OUTPUT_EXISTS, OUTPUT_UNSAFE, OUTPUT_FAILED.
 */
export function exportCore(path: string, to: string, { force }: { readonly force: boolean }): Exported {
  using core = openCore(path, { unpack });
  using output = OutputFile.create(to, { force, compress: null });
  if (core.pages.frames === null) {
    expand(output.fd, core, dataPieces(core.fileFd, 0, core.fileBytes));
  } else {
    copyData(output.fd, core);
    copyThrough(output.fd, core, tailOffsetOf(path, core.segments));
  }
  ftruncateSync(output.fd, core.sizeBytes);
  requireWhole(output.fd, path);
  output.commit();
  return { from: path, core: output.path, sizeBytes: core.sizeBytes };
}

/** What stands between the first page of a core and its notes, to the same places. Throws CORE_CORRUPT, … */
export function copyData(fd: number, core: CoreFile): void {
  const { frames } = core.pages;
  const slices =
    frames === null
      ? dataPieces(core.fileFd, PAGE_BYTES, tailOffsetOf(core.path, core.segments))
      : frames.map(({ plainOffset, plainBytes }) => ({ fileOffset: plainOffset, lengthBytes: plainBytes }));
  expand(fd, core, slices);
}

function expand(fd: number, { pages }: CoreFile, ranges: readonly Range[]): void {
  for (let first = 0; first < ranges.length; first += RANGES_AT_ONCE) {
    expandInto(fd, pages, ranges.slice(first, first + RANGES_AT_ONCE));
  }
}

/** Notes and headers, which are in no frame. */
function copyThrough(fd: number, core: CoreFile, tailOffset: number): void {
  for (let at = tailOffset; at < core.sizeBytes; at += RUN_BYTES_MAX) {
    writeAll(fd, core.read(at, Math.min(RUN_BYTES_MAX, core.sizeBytes - at)), at);
  }
  writeAll(fd, core.read(0, PAGE_BYTES), 0);
}

/** Proves what was written, before it gets a name. CORE_CORRUPT, BAD_CORE. */
export function requireWhole(fd: number, from: string): void {
  using core = openCore(nameOf(fd));
  const [problem] = verifyCore(core, checksumsOf).problems;
  if (problem === undefined || core.origin !== "recore") return;
  throw new CrError(
    problem.code,
    `export core ${from}: what comes out of it is not whole: ${problem.message}`,
    {
      hint: "use an older checkpoint; cr verify tells what is damaged",
      data: { path: from },
    },
  );
}
