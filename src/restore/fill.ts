/**
 * Puts the recorded bytes into the new mappings: the process itself reads the core file in place (pread64), in
 * pieces of many megabytes; read-only memory is written from outside, so that it never has to be writable.
 */
import { readSync } from "node:fs";
import { CrError } from "../errors.js";
import { RUN_BYTES_MAX } from "../state/address.js";
import type { PageRun } from "../state/pages.js";
import type { Vma } from "../state/vma.js";
import { dataSpans } from "../tracee/data-spans.js";
import type { RemoteCall } from "../tracee/remote.js";
import { isWritableAtFirst } from "./address-space.js";
import type { Workshop } from "./workshop.js";

/** A hole shorter than this is read as zeros: cheaper than another system call. */
const HOLE_BYTES_MIN = 65_536;
/** Linux reads at most 0x7ffff000 bytes in one call (read(2)). */
const READ_BYTES_MAX = 1 << 30;

interface Piece {
  readonly address: bigint;
  readonly lengthBytes: number;
  readonly fileOffset: number;
}

export interface CoreDescriptors {
  /** The core in cr, and in the newborn. */
  readonly outside: number;
  readonly inside: number;
}

/** Fills every run that does not come from a mapped file. Runs and mappings are in order of address. */
export function fillPages(
  workshop: Workshop,
  state: { readonly vmas: readonly Vma[]; readonly runs: readonly PageRun[] },
  core: CoreDescriptors,
): void {
  const calls: RemoteCall[] = [];
  for (const [vma, runs] of runsByVma(state.vmas, state.runs)) {
    if (vma.kind === "special" || vma.kind === "shared-file") continue;
    const own = join(runs.filter((run) => !run.sameAsFile));
    // Zeros over a file's bytes must be written; fresh anonymous memory has them already.
    const pieces = vma.kind === "file" ? own : own.flatMap((piece) => withoutHoles(core.outside, piece));
    if (!isWritableAtFirst(vma)) {
      for (const piece of pieces) writeFromOutside(workshop, core.outside, piece);
    } else {
      calls.push(...pieces.flatMap(split).map((piece) => readCall(core.inside, piece)));
    }
  }
  const results = workshop.run("read its memory from the core", calls);
  const short = results.findIndex((result, index) => result !== BigInt(calls[index]?.args[2] ?? 0));
  if (short >= 0) {
    throw new CrError("CORE_TRUNCATED", "cannot read the program's memory: the core ends too early", {
      hint: "run cr verify on the core",
    });
  }
}

/** Runs grouped by the mapping they lie in. */
function runsByVma(vmas: readonly Vma[], runs: readonly PageRun[]): Map<Vma, PageRun[]> {
  const groups = new Map<Vma, PageRun[]>();
  let index = 0;
  for (const run of runs) {
    while ((vmas[index]?.end ?? run.address + 1n) <= run.address) index += 1;
    const vma = vmas[index];
    if (vma === undefined || run.address < vma.start) continue;
    const group = groups.get(vma);
    if (group) group.push(run);
    else groups.set(vma, [run]);
  }
  return groups;
}

/** Joins runs that follow one another in memory and in the file. */
function join(runs: readonly PageRun[]): Piece[] {
  const pieces: { address: bigint; lengthBytes: number; fileOffset: number }[] = [];
  for (const { address, lengthBytes, fileOffset } of runs) {
    const last = pieces.at(-1);
    const follows =
      last !== undefined &&
      last.address + BigInt(last.lengthBytes) === address &&
      last.fileOffset + last.lengthBytes === fileOffset;
    if (follows) last.lengthBytes += lengthBytes;
    else pieces.push({ address, lengthBytes, fileOffset });
  }
  return pieces;
}

function withoutHoles(fd: number, piece: Piece): Piece[] {
  const pieces: { address: bigint; lengthBytes: number; fileOffset: number }[] = [];
  for (const span of dataSpans(fd, piece.fileOffset, piece.fileOffset + piece.lengthBytes)) {
    const last = pieces.at(-1);
    if (last && span.fileOffset - (last.fileOffset + last.lengthBytes) < HOLE_BYTES_MIN) {
      last.lengthBytes = span.fileOffset + span.lengthBytes - last.fileOffset;
      continue;
    }
    const address = piece.address + BigInt(span.fileOffset - piece.fileOffset);
    pieces.push({ address, lengthBytes: span.lengthBytes, fileOffset: span.fileOffset });
  }
  return pieces;
}

function split(piece: Piece): Piece[] {
  const count = Math.ceil(piece.lengthBytes / READ_BYTES_MAX);
  return Array.from({ length: count }, (_, index) => {
    const done = index * READ_BYTES_MAX;
    return {
      address: piece.address + BigInt(done),
      lengthBytes: Math.min(READ_BYTES_MAX, piece.lengthBytes - done),
      fileOffset: piece.fileOffset + done,
    };
  });
}

function readCall(fd: number, piece: Piece): RemoteCall {
  return { name: "pread64", args: [fd, piece.address, piece.lengthBytes, piece.fileOffset] };
}

function writeFromOutside(workshop: Workshop, fd: number, piece: Piece): void {
  const chunk = Buffer.alloc(Math.min(RUN_BYTES_MAX, piece.lengthBytes));
  for (let done = 0; done < piece.lengthBytes; ) {
    const got = readSync(
      fd,
      chunk,
      0,
      Math.min(chunk.length, piece.lengthBytes - done),
      piece.fileOffset + done,
    );
    if (got === 0)
      throw new CrError("CORE_TRUNCATED", "cannot read the program's memory: the core ends too early");
    workshop.newborn.write(piece.address + BigInt(done), chunk.subarray(0, got));
    done += got;
  }
}
