/**
 * Opens recorded files again: by their paths what still has a name, from the core what was deleted. All decisions
 * (decide-files.ts) come before the first open.
 */
import { closeSync, constants } from "node:fs";
import { CrError } from "../errors.js";
import type { FileDescription } from "../state/fd.js";
import type { SoftError } from "../state/soft-error.js";
import { type DecisionOptions, decideFiles, type OpenFile } from "./decide-files.js";
import { recreateDeleted } from "./deleted-file.js";
import { type FileLook, lookAt, openLook } from "./file-look.js";
import { fileKey, type Mapped } from "./mapped-files.js";
import { isPathOnly, openFlags } from "./open-flags.js";
import type { Cut } from "./rollback.js";

export interface OpenOptions extends DecisionOptions {
  /** The core, open for reading. */
  readonly coreFd: number;
  /** What was mapped of deleted files. */
  readonly mapped: Mapped;
}

/** One open file description that the program is to have, open in cr. */
export interface FileSource {
  /** Descriptor in cr. */
  readonly fd: number;
  /** Offset to seek to in the program (it is not set yet), null to leave it alone. */
  readonly position: bigint | null;
  /** `id` of the recorded description, null for what the caller or the user gives instead. */
  readonly descriptionId: number | null;
}

type RecordedSource = FileSource & { readonly descriptionId: number };

export interface OpenedDescriptions extends Disposable {
  /** By `id` of the description. */
  readonly byId: ReadonlyMap<number, FileSource>;
  readonly cuts: readonly Cut[];
  readonly softErrors: readonly SoftError[];
}

/**
 * Opens every description once. Throws FILE_MISSING, FILE_CHANGED, NOT_PERMITTED or CORE_CORRUPT, with nothing
 * left open. Disposing closes all.
 */
export function openDescriptions(
  wanted: readonly FileDescription[],
  options: OpenOptions,
): OpenedDescriptions {
  const byId = new Map<number, FileSource>();
  const cuts: Cut[] = [];
  const close = () => {
    for (const { fd } of [...byId.values(), ...cuts]) closeSync(fd);
    byId.clear();
    cuts.length = 0;
  };
  const looks = new Map<FileDescription, FileLook>();
  const softErrors: SoftError[] = [];
  try {
    for (const description of wanted) {
      if (!description.deleted) looks.set(description, lookAt(description.path));
    }
    const decisions = decideFiles(openFiles(looks), options);
    for (const [description, look] of looks) byId.set(description.id, openAgain(description, look));
    for (const deleted of byInode(wanted.filter((one) => one.deleted))) {
      for (const source of openDeleted(deleted, { ...options, softErrors }))
        byId.set(source.descriptionId, source);
    }
    for (const { look, ...cut } of decisions.cuts) {
      cuts.push({ ...cut, path: look.path, fd: openLook(look, constants.O_RDWR) });
    }
    softErrors.push(...decisions.softErrors);
    return { byId, cuts, softErrors, [Symbol.dispose]: close };
  } catch (error) {
    close();
    throw error;
  } finally {
    for (const { fd } of looks.values()) closeSync(fd);
  }
}

function openFiles(looks: ReadonlyMap<FileDescription, FileLook>): OpenFile[] {
  return byInode([...looks.keys()]).map((descriptions) => ({
    descriptions,
    looks: descriptions.flatMap((description) => looks.get(description) ?? []),
  }));
}

function byInode(descriptions: readonly FileDescription[]): FileDescription[][] {
  const groups = new Map<string, FileDescription[]>();
  for (const description of descriptions) {
    const key = `${description.dev} ${description.ino}`;
    groups.set(key, [...(groups.get(key) ?? []), description]);
  }
  return [...groups.values()];
}

function openAgain(description: FileDescription, look: FileLook): RecordedSource {
  const fd =
    description.kind === "terminal"
      ? openTerminal(look, openFlags(description))
      : openLook(look, openFlags(description));
  return { fd, position: positionOf(description, look), descriptionId: description.id };
}

/** /dev/tty: only a process with a controlling terminal can open it (tty(4)). */
function openTerminal(look: FileLook, flags: number): number {
  try {
    return openLook(look, flags);
  } catch (cause) {
    throw new CrError("FD_OUTSIDE", `open ${look.path}: cr has no terminal to give to the program`, {
      hint: "run cr restore on a terminal, or place the descriptor with --fd N=PATH",
      cause,
    });
  }
}

function openDeleted(
  descriptions: readonly FileDescription[],
  { coreFd, mapped, softErrors }: OpenOptions & { readonly softErrors: SoftError[] },
): RecordedSource[] {
  const other = descriptions.find(({ kind }) => kind !== "regular");
  if (other !== undefined) {
    throw new CrError("FILE_MISSING", `open ${other.path}: it was deleted while the program had it open`, {
      hint: "place it elsewhere with --fd N=PATH (cr inspect shows which descriptors it had)",
      data: { path: other.path },
    });
  }
  const [first] = descriptions;
  const pieces = first && mapped.pieces.get(fileKey(first));
  const only = descriptions.every(({ id }) => mapped.ids.has(id));
  const { fds, elsewhere } = recreateDeleted(descriptions, coreFd, pieces ? { pieces, only } : null);
  if (elsewhere && first) softErrors.push(inMemory(first.path));
  return descriptions.flatMap(({ id, position }, index) => {
    const fd = fds[index];
    return fd === undefined ? [] : [{ fd, position, descriptionId: id }];
  });
}

function inMemory(path: string): SoftError {
  const message = `file ${path}, deleted and mapped, cannot be made in its folder: it is in memory, under another name`;
  return { kind: "file", id: path, message };
}

/** Character devices have no offset, or one that only they understand. */
function positionOf(description: FileDescription, { stat }: FileLook): bigint | null {
  return isPathOnly(description) || stat.isCharacterDevice() ? null : description.position;
}
