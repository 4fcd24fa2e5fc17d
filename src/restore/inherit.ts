/**
 * What the newborn inherits from cr: its working folder, every mapped file and every open file
 * description, each opened once here and found there at a high number.
 */
import { closeSync, constants, openSync } from "node:fs";
import { isSegment } from "../state/object-mapping.js";
import type { ProcessState } from "../state/process.js";
import type { Vma } from "../state/vma.js";
import { openFailed } from "./file-look.js";
import type { PreparedFiles } from "./files.js";
import { mappedFileOf } from "./mapped-files.js";
import type { SharedMappings } from "./shared-mappings.js";

/** Below this the program's own numbers mostly lie. */
const LOWEST_BASE = 64;

export interface Inheritance extends Disposable {
  /** Descriptors of cr in the order in which they stand from `base` on in the newborn. */
  readonly fds: readonly number[];
  readonly base: number;
  /** Numbers inside the newborn. */
  readonly cwd: number | null;
  readonly sources: number;
  mapped(vma: Vma): number;
}

export interface InheritanceParts {
  readonly state: ProcessState;
  readonly prepared: PreparedFiles;
  readonly shared: SharedMappings;
  /** The executable that stands for the recorded one. */
  readonly exe: string;
}

/** Opens mapped files and the working folder and numbers everything. FILE_MISSING or NOT_PERMITTED. */
export function inherit(parts: InheritanceParts): Inheritance {
  const { state, prepared, shared, exe } = parts;
  const opened: number[] = [];
  const open = (path: string, flags: number): number => {
    try {
      const fd = openSync(path, flags);
      opened.push(fd);
      return fd;
    } catch (error) {
      throw openFailed(path, error);
    }
  };
  const close = () => {
    for (const fd of opened) closeSync(fd);
  };
  try {
    const base = Math.max(
      LOWEST_BASE,
      ...[...prepared.descriptors, ...prepared.inside].map(({ fd }) => fd + 1),
    );
    const fds: number[] = [];
    const cwd =
      state.process.cwd.path === "" ? null : base + fds.push(open(state.process.cwd.path, O_FOLDER)) - 1;
    const byPath = new Map<string, number>();
    const byVma = new Map<Vma, number>();
    for (const { vma, fd } of shared.mappings) byVma.set(vma, base + indexOrPush(fds, fd));
    for (const vma of state.vmas) {
      if (vma.kind !== "file" && vma.kind !== "shared-file") continue;
      if (byVma.has(vma) || isSegment(vma)) continue;
      const mapped = mappedFileOf(state.files, vma);
      if (mapped !== null) {
        byVma.set(vma, base + indexOrPush(fds, prepared.mapped.get(mapped.file.id) ?? -1));
        continue;
      }
      const path = vma.path === state.process.exe.path ? exe : vma.path;
      const known = byPath.get(path) ?? base + fds.push(open(path, constants.O_RDONLY)) - 1;
      byPath.set(path, known);
      byVma.set(vma, known);
    }
    const sources = base + fds.length;
    fds.push(...prepared.sources.map(({ fd }) => fd));
    return {
      fds,
      base,
      cwd,
      sources,
      mapped: (vma) => byVma.get(vma) ?? -1,
      [Symbol.dispose]: close,
    };
  } catch (error) {
    close();
    throw error;
  }
}

const O_FOLDER = constants.O_RDONLY | constants.O_DIRECTORY;

function indexOrPush(fds: number[], fd: number): number {
  const index = fds.indexOf(fd);
  return index >= 0 ? index : fds.push(fd) - 1;
}
