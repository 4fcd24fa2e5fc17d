/**
 * What is to become of the program's files, all of them decided before one is opened in earnest: regular files as
 * regular-file.ts finds them, folders and devices only if they are the same.
 */
import type { BigIntStats } from "node:fs";
import { CrError } from "../errors.js";
import { formatDevice } from "../host/device-number.js";
import type { FileUser } from "../host/file-users.js";
import type { FileDescription } from "../state/fd.js";
import type { SoftError } from "../state/soft-error.js";
import type { Vma } from "../state/vma.js";
import { describeKind, type FileLook, foundFile } from "./file-look.js";
import { otherWriters } from "./file-writers.js";
import {
  type FileChanges,
  type FilesPolicy,
  findFileChanges,
  isSameFile,
  isWritable,
} from "./regular-file.js";
import { isSharedWritable } from "./shared-mappings.js";

export interface DecisionOptions {
  readonly policy: FilesPolicy;
  readonly vmas: readonly Vma[];
  readonly sameBoot: boolean;
}

/** A file that several descriptions may have open, and the looks at it. */
export interface OpenFile {
  readonly descriptions: readonly FileDescription[];
  readonly looks: readonly FileLook[];
}

/** A grown file that is to be cut back. */
export interface PlannedCut {
  readonly look: FileLook;
  readonly toBytes: number;
  /** Recorded modification time. */
  readonly mtimeNs: bigint;
}

export interface Decisions {
  readonly cuts: readonly PlannedCut[];
  readonly softErrors: readonly SoftError[];
}

/** Looks at who else uses the files, then decides about all: FILE_CHANGED for what cannot be as it was. */
export function decideFiles(files: readonly OpenFile[], options: DecisionOptions): Decisions {
  for (const { descriptions, looks } of files) {
    descriptions.forEach((description, index) => {
      const look = looks[index];
      if (look !== undefined) requireKind(description, look);
    });
  }
  const written = files.filter(({ descriptions }) =>
    descriptions.some((one) => isWritable(one) && !isDevice(one)),
  );
  const writers = otherWriters(written.flatMap(({ looks }) => looks.slice(0, 1)));
  const decided = files.map((file) => decideOne(file, writers, options));
  return {
    cuts: decided.flatMap(({ cuts }) => cuts),
    softErrors: decided.flatMap(({ softErrors }) => softErrors),
  };
}

function decideOne(
  { descriptions, looks }: OpenFile,
  writers: readonly FileUser[],
  { policy, sameBoot, vmas }: DecisionOptions,
): Decisions {
  const [first] = descriptions;
  const [look] = looks;
  if (first === undefined || look === undefined || isDevice(first)) return { cuts: [], softErrors: [] };
  const found = foundFile(look.stat);
  const mine = writers.filter(({ file }) => file.dev === found.dev && file.ino === found.ino);
  const context = { sameBoot, writers: mine, contentInCore: isContentInCore(first, vmas) };
  const changes =
    first.kind === "directory"
      ? folderChanges(first, look, sameBoot)
      : findFileChanges(descriptions, found, context);
  const moved = looks.find((other) => other.stat.ino !== look.stat.ino);
  const refusals = moved ? [...changes.refusals, `${moved.path} was replaced`] : changes.refusals;
  if (refusals.length > 0 && policy === "rollback") throw changed(first.path, `it ${refusals.join("; it ")}`);
  const remarks = [...refusals, ...changes.remarks];
  const { cutToBytes } = changes;
  if (cutToBytes !== null && policy === "keep") {
    remarks.push(`grew by ${found.sizeBytes - cutToBytes} bytes since the checkpoint; they are kept`);
  }
  const cut = cutToBytes !== null && policy === "rollback";
  return {
    cuts: cut ? [{ look, toBytes: Number(cutToBytes), mtimeNs: first.mtimeNs }] : [],
    softErrors: remarks.map((what) => remark(first.path, what)),
  };
}

function requireKind(description: FileDescription, { path, stat }: FileLook): void {
  const { kind, rdev } = description;
  const [isSame, was] = isDevice(description)
    ? [isDeviceNode(stat) && formatDevice(stat.rdev) === rdev, `device ${rdev}`]
    : kind === "directory"
      ? [stat.isDirectory(), "a folder"]
      : [stat.isFile(), "a regular file"];
  if (!isSame) throw changed(path, `it is ${describeKind(stat)} now, it was ${was}`);
}

/** /dev/tty is the one terminal that is opened by its name. */
function isDevice({ kind }: FileDescription): boolean {
  return kind === "device" || kind === "terminal";
}

function isDeviceNode(stat: BigIntStats): boolean {
  return stat.isCharacterDevice() || stat.isBlockDevice();
}

function folderChanges(description: FileDescription, look: FileLook, sameBoot: boolean): FileChanges {
  const isSame = isSameFile(description, foundFile(look.stat), sameBoot);
  return { refusals: isSame ? [] : ["was replaced by another folder"], remarks: [], cutToBytes: null };
}

/** A mapping from the first byte past the last: all of the file is rolled back through it. */
function isContentInCore({ path, sizeBytes }: FileDescription, vmas: readonly Vma[]): boolean {
  return vmas.some(
    (vma) =>
      isSharedWritable(vma) &&
      vma.path === path &&
      vma.offset === 0n &&
      vma.end - vma.start >= BigInt(sizeBytes),
  );
}

function remark(path: string, what: string): SoftError {
  return { kind: "file", id: path, message: `file ${path} ${what}` };
}

function changed(path: string, what: string): CrError {
  return new CrError(
    "FILE_CHANGED",
    `restore file ${path}: ${what}; it must be as it was at the checkpoint`,
    {
      hint: "put it back as it was, or add --files keep to go on with all files as they are",
      data: { path },
    },
  );
}
