/**
 * Proves a core: structure, notes, and the checksum of everything else in the file, so that a flipped bit is
 * found wherever it is. Bulk checksums come from the caller, who has the native library.
 */
import { CrError, type ErrorCode } from "../errors.js";
import { hex, PAGE_BYTES, RUN_BYTES_MAX } from "../state/address.js";
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

/** CRC32C of each range of an open file; holes count as zeros. */
export type Checksum = (fd: number, ranges: readonly FileRange[]) => number[];

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

/** Ranges a call: bounds the time between two calls, not the memory. */
const RANGES_AT_ONCE = 256;

/** A range of the data, what it should sum up to, and what it is. */
interface Expected extends FileRange {
  readonly crc32c: number;
  readonly what: string;
}

/**
 * Checks all that can be checked without the program's host. Never throws for what is wrong in the core, but for
 * a file that cannot be read. Headers and notes have been checked when the core was opened.
 */
export function verifyCore(core: CoreFile, checksum: Checksum): Verdict {
  const problems: Problem[] = [];
  let state: ProcessState;
  try {
    state = readState(core, { onMissing: (error) => problems.push(error) });
  } catch (error) {
    if (!(error instanceof CrError)) throw error;
    return { ok: false, checkedBytes: 0, problems: [{ code: error.code, message: error.message }] };
  }
  if (core.origin !== "recore") {
    const told = problems.map(({ code, message }) => ({ code, message }));
    return { ok: told.length === 0, checkedBytes: 0, problems: told };
  }
  const tailOffset = tailOffsetOf(core.path, core.segments);
  const expected = [...state.runs.map(expectRun), ...contentsOf(state.files).flatMap(expectContent)];
  problems.push(...compare(core, expected, checksum), ...findStrayBytes(core, expected, tailOffset));
  const dataBytes = expected.reduce((sum, { lengthBytes }) => sum + lengthBytes, 0);
  const checkedBytes = dataBytes + PAGE_BYTES + core.sizeBytes - tailOffset;
  return { ok: problems.length === 0, checkedBytes, problems };
}

function expectRun({ address, lengthBytes, fileOffset, crc32c }: PageRun): Expected {
  return { fileOffset, lengthBytes, crc32c, what: `the pages at ${hex(address)}` };
}

function expectContent({ content, path }: Contained): Expected[] {
  if (content === null) return [];
  return content.crc32c.map((crc32c, index) => {
    const done = index * RUN_BYTES_MAX;
    const lengthBytes = Math.min(RUN_BYTES_MAX, content.lengthBytes - done);
    return { fileOffset: content.fileOffset + done, lengthBytes, crc32c, what: `the content of ${path}` };
  });
}

function compare(core: CoreFile, expected: readonly Expected[], checksum: Checksum): Problem[] {
  const problems: Problem[] = [];
  for (let first = 0; first < expected.length; first += RANGES_AT_ONCE) {
    const ranges = expected.slice(first, first + RANGES_AT_ONCE);
    const found = checksum(core.fd, ranges);
    for (const [index, { crc32c, what, fileOffset }] of ranges.entries()) {
      if (found[index] === crc32c) continue;
      problems.push(corrupt(core.path, `${what} (file offset ${fileOffset}) do not match their checksum`));
    }
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
