/**
 * System V segments: taken as they are when only the dead program used them, else made again under their id and key.
 * Attached by the newborn; their content is put back last, before the program starts.
 */
import { closeSync, ftruncateSync } from "node:fs";
import { CrError, isErrno } from "../errors.js";
import type { ProcessState } from "../state/process.js";
import type { Segment } from "../state/segment.js";
import type { SoftError } from "../state/soft-error.js";
import { otherMappers } from "../tracee/maps.js";
import { isNativeError } from "../tracee/native-error.js";
import {
  makeSegment,
  openSegment,
  readSegments,
  removeSegment,
  type SegmentInfo,
  setSegment,
} from "../tracee/segments.js";
import { type Piece, piecesAt, writePieces } from "./mapped-files.js";

/** Device of the kernel's own tmpfs (shmem) as maps prints it: segments are on it. */
const SHMEM_DEVICE = "00:01";

export interface OpenedSegments extends Disposable {
  readonly softErrors: readonly SoftError[];
  /** Puts the content in, and marks for removal what was; to be called when all newborns have attached them. */
  rollBack(): void;
  /** They are the program's from now on. */
  keep(): void;
}

/** A program, or a member of a tree, with its core open for reading. */
export interface SegmentOwner {
  readonly state: Pick<ProcessState, "files" | "vmas" | "runs">;
  readonly coreFd: number;
}

/** One segment with what the cores of its owners hold of it. */
interface Recorded {
  readonly segment: Segment;
  readonly coreFd: number;
  readonly pieces: readonly Piece[];
}

interface Opened extends Recorded {
  readonly fd: number;
  readonly made: boolean;
}

/** One record of each: members of a tree attach the same. */
function recordedBy(owners: readonly SegmentOwner[]): Recorded[] {
  const byId = new Map<number, Recorded>();
  for (const { state, coreFd } of owners) {
    for (const segment of state.files.segments ?? []) {
      const { content, starts } = segment;
      const hidden = content === null ? [] : [{ ...content, at: 0, coreFd }];
      const shown = piecesAt(starts, state).map((piece) => ({ ...piece, coreFd }));
      const known = byId.get(segment.id);
      byId.set(segment.id, { segment, coreFd, pieces: [...(known?.pieces ?? []), ...hidden, ...shown] });
    }
  }
  return [...byId.values()];
}

/**
 * Takes or makes all of them. FILE_CHANGED when somebody else uses one or its id or key, NOT_PERMITTED when one cannot
 * be made again; then all are as they were.
 */
export function openSegments(owners: readonly SegmentOwner[]): OpenedSegments {
  const opened: Opened[] = [];
  let kept = false;
  const close = () => {
    for (const { segment, fd, made } of opened.splice(0)) {
      closeSync(fd);
      if (made && !kept) removeSegment(segment.id);
    }
  };
  try {
    const found = readSegments();
    for (const recorded of recordedBy(owners)) {
      const { segment } = recorded;
      const now = found.find(({ id }) => id === segment.id);
      if (now === undefined) make(segment);
      else requireAlone(segment, now);
      opened.push({ ...recorded, made: now === undefined, fd: open(segment, now === undefined) });
    }
  } catch (error) {
    close();
    throw error;
  }
  return {
    softErrors: opened.filter(({ made }) => made).map(({ segment }) => remark(segment)),
    rollBack() {
      for (const one of opened) {
        const { segment } = one;
        putBack(one);
        if (segment.removed) removeSegment(segment.id);
      }
    },
    keep() {
      kept = true;
    },
    [Symbol.dispose]: close,
  };
}

function requireAlone(segment: Segment, now: SegmentInfo): void {
  if (now.key !== segment.key || now.sizeBytes !== segment.sizeBytes) {
    throw changed(segment, `another one has its id (key ${keyOf(now.key)}, ${now.sizeBytes} bytes)`);
  }
  if (now.attached === 0) return;
  const pids = otherMappers(process.pid, { dev: SHMEM_DEVICE, ino: BigInt(segment.id) }).join(", ");
  throw changed(segment, `process ${pids || "that cr may not see"} has it attached`);
}

function make(segment: Segment): void {
  try {
    if (makeSegment(segment) === null) throw changed(segment, "its place in the kernel's table is taken");
  } catch (error) {
    if (isNativeError(error, "EEXIST")) throw changed(segment, "another one has its key");
    if (isErrno(error, "EACCES", "EPERM", "ENOENT") || isNativeError(error, "EPERM", "EACCES")) {
      throw notPermitted(segment, "it is gone, and only the id it had will do", error);
    }
    if (isNativeError(error)) throw changed(segment, `it cannot be made again (${error.errno})`);
    throw error;
  }
}

function open(segment: Segment, made: boolean): number {
  try {
    const fd = openSegment(segment);
    if (made) setSegment(segment);
    return fd;
  } catch (error) {
    if (made) removeSegment(segment.id);
    if (!isErrno(error, "EACCES", "EPERM") && !isNativeError(error, "EPERM", "EACCES")) throw error;
    throw notPermitted(segment, "its content has to be put back", error);
  }
}

/** Emptied first: pages that were not there at the checkpoint are zero. */
function putBack({ segment: { sizeBytes }, fd, coreFd, pieces }: Opened): void {
  ftruncateSync(fd, 0);
  ftruncateSync(fd, sizeBytes);
  writePieces(coreFd, { fd, sizeBytes }, pieces);
}

function keyOf(key: number): string {
  return `0x${(key >>> 0).toString(16).padStart(8, "0")}`;
}

function remark(segment: Segment): SoftError {
  const { id, key } = segment;
  const message = `the System V segment ${id} (key ${keyOf(key)}) was gone and was made again; its creator is cr`;
  return { kind: "segment", id: String(id), message };
}

function changed({ id, key }: Segment, what: string): CrError {
  return new CrError("FILE_CHANGED", `restore the System V segment ${id} (key ${keyOf(key)}): ${what}`, {
    hint: `end what uses it (ipcs -m lists segments, ipcrm -m ${id} removes it), and try again`,
    data: { id, key },
  });
}

function notPermitted({ id, key }: Segment, what: string, cause: unknown): CrError {
  const message = `restore the System V segment ${id} (key ${keyOf(key)}): ${what}, which cr may not do`;
  return new CrError("NOT_PERMITTED", message, { hint: "run cr with CAP_CHECKPOINT_RESTORE", cause });
}
