/**
 * Proves a core: structure, notes, and the checksum of everything else in the file, so that a flipped bit is
 * found wherever it is. Bulk checksums come from the caller, who has the native library.
 */
import { CrError, type ErrorCode } from "../errors.js";
import { hex, PAGE_BYTES, RUN_BYTES_MAX } from "../state/address.js";
import type { PageSource } from "../state/frame.js";
import type { PageRun } from "../state/pages.js";
import type { ProcessState } from "../state/process.js";
import { type Contained, contentsOf } from "./contents-of.js";
import { tailOffsetOf } from "./header-checksum.js";
import { DATA_OFFSET } from "./layout.js";
import { readState } from "./read-state.js";
import type { CoreFile } from "./reader.js";

/** A part of a file whose checksum is wanted. */
export interface FileRange {
  readonly fileOffset: number;
  readonly lengthBytes: number;
}

/** CRC32C of each range of a core, plain or out of its frames; holes count as zeros. */
export type Checksum = (source: PageSource, ranges: readonly FileRange[]) => number[];

export interface Problem {
  readonly code: ErrorCode;
  readonly message: string;
}

export interface Verdict {
  readonly ok: boolean;
  /** Bytes of the file that a checksum covers; 0 for cores of others, which carry none. */
  readonly checkedBytes: number;
  readonly problems: readonly Problem[];
}

export interface VerifyOptions {
  /** Runs that the caller proves while reading them, and with them the frames they are in. */
  readonly except?: (run: PageRun) => boolean;
  /** What `readState` has found in this core already. */
  readonly state?: ProcessState;
}

/** Ranges a call: bounds the time between two calls, not the memory. */
const RANGES_AT_ONCE = 256;

/** A MiB of a file's content. */
interface ContentPart extends FileRange {
  readonly crc32c: number;
  readonly path: string;
}

/** A range of the data with what it should sum up to. */
type Expected = PageRun | ContentPart;

/**
 * Checks all that can be checked without the program's host. Never throws for what is wrong in the core, but for
 * a file that cannot be read. Headers and notes have been checked when the core was opened.
 */
export function verifyCore(core: CoreFile, checksum: Checksum, options: VerifyOptions = {}): Verdict {
  const problems: Problem[] = [];
  let state: ProcessState;
  try {
    state = options.state ?? readState(core, { onMissing: (error) => problems.push(error) });
  } catch (error) {
    if (!(error instanceof CrError)) throw error;
    return { ok: false, checkedBytes: 0, problems: [{ code: error.code, message: error.message }] };
  }
  if (core.origin !== "recore") {
    const told = problems.map(({ code, message }) => ({ code, message }));
    return { ok: told.length === 0, checkedBytes: 0, problems: told };
  }
  const tailOffset = tailOffsetOf(core.path, core.segments);
  const contents = contentsOf(state.files).flatMap(partsOf);
  const expected: readonly Expected[] = [...state.runs, ...contents];
  const { except } = options;
  if (except === undefined) problems.push(...damagedFrames(core, checksum));
  if (problems.length > 0) return { ok: false, checkedBytes: 0, problems };
  const proven = except ? [...state.runs.filter((run) => !except(run)), ...contents] : expected;
  problems.push(...compare(core, proven, checksum), ...findStrayBytes(core, expected, tailOffset));
  const dataBytes = expected.reduce((sum, { lengthBytes }) => sum + lengthBytes, 0);
  const checkedBytes = dataBytes + PAGE_BYTES + core.sizeBytes - tailOffset;
  return { ok: problems.length === 0, checkedBytes, problems };
}

/** Bits that a frame could do without would not show in what comes out of it. */
function damagedFrames({ path, fileFd, pages: { frames } }: CoreFile, checksum: Checksum): Problem[] {
  const source = { path, fd: fileFd, frames: null };
  const found = frames === null ? [] : inParts(frames, (part) => checksum(source, part));
  return (frames ?? []).flatMap(({ crc32c, fileOffset }, index) =>
    found[index] === crc32c
      ? []
      : [corrupt(path, `the compressed frame at file offset ${fileOffset} does not match its checksum`)],
  );
}

function inParts(ranges: readonly FileRange[], checksum: (part: readonly FileRange[]) => number[]): number[] {
  const found: number[] = [];
  for (let first = 0; first < ranges.length; first += RANGES_AT_ONCE) {
    found.push(...checksum(ranges.slice(first, first + RANGES_AT_ONCE)));
  }
  return found;
}

function partsOf({ content, path }: Contained): ContentPart[] {
  if (content === null) return [];
  return content.crc32c.map((crc32c, index) => {
    const done = index * RUN_BYTES_MAX;
    const lengthBytes = Math.min(RUN_BYTES_MAX, content.lengthBytes - done);
    return { fileOffset: content.fileOffset + done, lengthBytes, crc32c, path };
  });
}

function compare(core: CoreFile, expected: readonly Expected[], checksum: Checksum): Problem[] {
  const problems: Problem[] = [];
  const found = inParts(expected, (part) => checksum(core.pages, part));
  for (const [index, one] of expected.entries()) {
    if (found[index] === one.crc32c) continue;
    const what = "path" in one ? `the content of ${one.path}` : `the pages at ${hex(one.address)}`;
    problems.push(corrupt(core.path, `${what} (file offset ${one.fileOffset}) do not match their checksum`));
  }
  return problems;
}

/** Bytes of the data that no checksum covers: holes of pages that were gone in the end, the filling behind a file. */
function findStrayBytes(core: CoreFile, expected: readonly Expected[], tailOffset: number): Problem[] {
  const problems: Problem[] = [];
  const sorted = [...expected].sort((a, b) => a.fileOffset - b.fileOffset);
  let at = DATA_OFFSET;
  for (const { fileOffset, lengthBytes } of [...sorted, { fileOffset: tailOffset, lengthBytes: 0 }]) {
    const gapBytes = fileOffset - at;
    if (gapBytes < 0) {
      problems.push(
        corrupt(core.path, `${-gapBytes} bytes at file offset ${fileOffset} belong to two things`),
      );
    } else if (!isZero(core, at, gapBytes)) {
      problems.push(corrupt(core.path, `the filling at file offset ${at} is not zero`));
    }
    at = fileOffset + lengthBytes;
  }
  return problems;
}

const NO_BYTES = Buffer.alloc(RUN_BYTES_MAX);

function isZero(core: CoreFile, offset: number, lengthBytes: number): boolean {
  for (let done = 0; done < lengthBytes; done += RUN_BYTES_MAX) {
    const bytes = core.read(offset + done, Math.min(RUN_BYTES_MAX, lengthBytes - done));
    if (!bytes.equals(NO_BYTES.subarray(0, bytes.length))) return false;
  }
  return true;
}

function corrupt(path: string, what: string): Problem {
  return { code: "CORE_CORRUPT", message: `verify core ${path}: ${what}` };
}
