/**
 * Whether the executable and every mapped file is still the one the program ran with: pages that the core leaves
 * to the files must not come from another version. Files mapped shared and writable are for shared-mappings.ts.
 */
import { readSync, realpathSync } from "node:fs";
import { CrError } from "../errors.js";
import { buildIdOf, readBuildId } from "../host/build-id.js";
import { isNameless, isSegment } from "../state/object-mapping.js";
import type { ProcessState } from "../state/process.js";
import type { SoftError } from "../state/soft-error.js";
import type { Vma } from "../state/vma.js";
import { describeKind, isSameTime, openFailed, statOf } from "./file-look.js";
import { mappedFileOf } from "./mapped-files.js";
import { isSharedWritable } from "./shared-mappings.js";

export interface MappedFilesOptions {
  /** The executable as the user named it; it stands for the recorded one. */
  readonly exe?: string | undefined;
  readonly policy: "rollback" | "keep";
  /** The core, open for reading: cores of others hold the first pages of what was mapped. */
  readonly coreFd: number;
}

/** What tells whether a file is the same; null where the core does not know. */
interface Recorded {
  readonly buildId: string | null;
  readonly sizeBytes: number | null;
  readonly mtimeNs: bigint | null;
}

/**
 * Refuses missing (EXE_MISSING) and changed (EXE_CHANGED) files. Returns soft errors for files mapped shared that
 * changed and that `--files keep` accepts.
 */
export function checkMappedFiles(state: ProcessState, options: MappedFilesOptions): SoftError[] {
  checkExe(state, options);
  checkDeleted(state);
  const soft: SoftError[] = [];
  for (const [path, vmas] of filesOf(state.vmas)) {
    if (path === state.process.exe.path || isPutBack(state, vmas, options)) continue;
    const changed = findChange(path, { ...recordedOf(vmas), buildId: buildIdFor(state, vmas, options) });
    if (changed === null) continue;
    if (options.policy === "rollback" || vmas.some(({ kind }) => kind === "file")) throw changed;
    soft.push({ kind: "file", id: path, message: `${changed.message}; kept as it is` });
  }
  return soft;
}

/** A file that is put back whole before it is mapped: it may be gone by now. */
function isPutBack({ files }: ProcessState, vmas: readonly Vma[], { policy }: MappedFilesOptions): boolean {
  if (policy !== "rollback") return false;
  return vmas.every(
    ({ kind, path }) => kind === "shared-file" && files.snapshots?.some((one) => one.path === path),
  );
}

function checkExe(state: ProcessState, options: MappedFilesOptions): void {
  const { exe } = state.process;
  const vmas = state.vmas.filter((vma) => vma.path === exe.path && vma.kind === "file");
  const known = exe.mtimeNs !== 0n || exe.sizeBytes !== 0;
  const path = options.exe === undefined ? exe.path : followLinks(options.exe);
  if (path === "") {
    throw new CrError("EXE_MISSING", "restore the program: the core does not name its executable", {
      hint: "name it behind the core: cr restore CORE EXE",
    });
  }
  // A copy under another name has another time; its size still tells most wrong files.
  const mtimeNs = known && options.exe === undefined ? exe.mtimeNs : null;
  const buildId = exe.buildId ?? buildIdFor(state, vmas, options);
  const changed = findChange(path, { buildId, sizeBytes: known ? exe.sizeBytes : null, mtimeNs });
  if (changed === null) return;
  if (options.exe === undefined) throw changed;
  throw new CrError("EXE_CHANGED", changed.message, {
    hint: `leave it out or name a copy of ${exe.path || "the executable that was running"}`,
    data: { path, recorded: exe.path },
  });
}

/** A deleted file cannot be mapped again, so the core has to hold all of it. */
function checkDeleted(state: ProcessState): void {
  for (const vma of state.vmas) {
    if (!isNameless(vma) || isSegment(vma) || mappedFileOf(state.files, vma) !== null) continue;
    const runs = state.runs.filter(({ address }) => address >= vma.start && address < vma.end);
    const storedBytes = runs.reduce((sum, { lengthBytes }) => sum + lengthBytes, 0);
    if (BigInt(storedBytes) === vma.end - vma.start) continue;
    throw new CrError("EXE_MISSING", `map ${vma.path}: it was deleted while the program had it mapped`, {
      hint: "restart the program once with the files installed now, then checkpoint it again",
      data: { path: vma.path },
    });
  }
}

/** Files by path: privately mapped ones, and shared ones that the program could only read. */
function filesOf(vmas: readonly Vma[]): Map<string, Vma[]> {
  const files = new Map<string, Vma[]>();
  for (const vma of vmas) {
    if ((vma.kind !== "file" && vma.kind !== "shared-file") || isSharedWritable(vma) || vma.deleted) continue;
    files.set(vma.path, [...(files.get(vma.path) ?? []), vma]);
  }
  return files;
}

function recordedOf(vmas: readonly Vma[]): Recorded {
  const file = vmas.find((vma) => vma.file !== null)?.file ?? null;
  return {
    buildId: file?.buildId ?? null,
    sizeBytes: file?.sizeBytes ?? null,
    mtimeNs: file?.mtimeNs ?? null,
  };
}

/** The recorded build-id, or the one inside the file's first page where the core holds that page. */
function buildIdFor(
  state: ProcessState,
  vmas: readonly Vma[],
  { coreFd }: MappedFilesOptions,
): string | null {
  const recorded = recordedOf(vmas).buildId;
  const first = vmas.find((vma) => vma.offset === 0n);
  if (recorded !== null || first === undefined) return recorded;
  const run = state.runs.find(({ address }) => address === first.start);
  if (run === undefined) return null;
  return buildIdOf((offset, lengthBytes) => {
    const bytes = Buffer.alloc(Math.max(0, Math.min(lengthBytes, run.lengthBytes - offset)));
    return bytes.subarray(0, readSync(coreFd, bytes, 0, bytes.length, run.fileOffset + offset));
  });
}

/** The reason why the file cannot serve, null when it can. A missing one throws: it cannot be consented to. */
function findChange(path: string, recorded: Recorded): CrError | null {
  const stat = statMapped(path);
  if (!stat.isFile())
    return changedError(path, `it is ${describeKind(stat)} now, a regular file is required`);
  if (recorded.buildId !== null) {
    const found = tryBuildId(path);
    if (found === recorded.buildId) return null;
    return changedError(path, `its build-id is ${found ?? "missing"}, ${recorded.buildId} is required`);
  }
  if (recorded.sizeBytes !== null && stat.size !== BigInt(recorded.sizeBytes)) {
    return changedError(path, `it has ${stat.size} bytes, it had ${recorded.sizeBytes}`);
  }
  if (recorded.mtimeNs !== null && !isSameTime(stat.mtimeNs, recorded.mtimeNs)) {
    return changedError(path, "it was written to since the checkpoint (modification time)");
  }
  return null;
}

/** A name the user gives may be a link (`/usr/bin/python3`); recorded names never are. */
function followLinks(path: string): string {
  try {
    return realpathSync(path);
  } catch {
    // statMapped says what is wrong with it.
    return path;
  }
}

function statMapped(path: string): ReturnType<typeof statOf> {
  try {
    return statOf(path);
  } catch (error) {
    if (!(error instanceof CrError) || error.code !== "FILE_MISSING") throw error;
    throw new CrError("EXE_MISSING", `map ${path}: it is not there any more, the program had it mapped`, {
      hint: "install the same version again, or name the executable behind the core if it moved",
      data: { path },
      cause: error,
    });
  }
}

function tryBuildId(path: string): string | null {
  try {
    return readBuildId(path);
  } catch (error) {
    throw openFailed(path, error);
  }
}

function changedError(path: string, found: string): CrError {
  return new CrError("EXE_CHANGED", `map ${path}: ${found}`, {
    hint: "put the file back as it was at the checkpoint (the same version of its package)",
    data: { path },
  });
}
