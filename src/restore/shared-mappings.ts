/**
 * Files that the program had mapped shared and writable: their content at the checkpoint is in the core, and a
 * rollback writes it back, unless somebody else uses the file. The mapping itself is the rebuild's.
 */
import { closeSync, constants, fstatSync } from "node:fs";
import { CrError } from "../errors.js";
import { readPadded, writeAll } from "../file-bytes.js";
import { reopenDescriptor } from "../host/own-descriptors.js";
import type { PageRun } from "../state/pages.js";
import type { SoftError } from "../state/soft-error.js";
import type { Vma } from "../state/vma.js";
import { describeKind, type FileLook, lookAt, openFailed } from "./file-look.js";
import { otherWriters } from "./file-writers.js";
import type { FilesPolicy } from "./regular-file.js";

export interface SharedMapping {
  readonly vma: Vma;
  /** The file, open for reading and writing. */
  readonly fd: number;
}

export interface SharedMappings extends Disposable {
  readonly mappings: readonly SharedMapping[];
  readonly softErrors: readonly SoftError[];
}

const CHUNK_BYTES = 1 << 20;

/** True for a mapping through which the program can change its file, now or after an mprotect (VmFlag `mw`). */
export function isSharedWritable(vma: Vma): boolean {
  return vma.kind === "shared-file" && (vma.prot[1] === "w" || vma.flags.includes("mw"));
}

/**
 * Opens the file of every shared writable mapping. Refuses FILE_MISSING, and under `rollback` FILE_CHANGED for a
 * file that was replaced, shrank or is written to by another live process; under `keep` these are soft errors.
 * Those that were put back whole are as recorded, whatever their inode is now.
 */
export function openSharedMappings(
  vmas: readonly Vma[],
  policy: FilesPolicy,
  putBack: ReadonlySet<string> = new Set(),
): SharedMappings {
  const wanted = vmas.filter((vma) => isSharedWritable(vma) && !vma.deleted);
  const opened = new Map<string, number>();
  const softErrors: SoftError[] = [];
  const close = () => {
    for (const fd of opened.values()) closeSync(fd);
    opened.clear();
  };
  try {
    for (const vma of wanted) {
      if (opened.has(vma.path)) continue;
      const { fd, changes } = openOne(vma, putBack.has(vma.path));
      opened.set(vma.path, fd);
      if (changes.length > 0 && policy === "rollback") throw changed(vma.path, changes.join("; "));
      for (const change of changes) softErrors.push(soft(vma.path, `${change}; kept as it is`));
      if (policy === "keep") softErrors.push(soft(vma.path, "is mapped as it is now, not as it was"));
    }
  } catch (error) {
    close();
    throw error;
  }
  const mappings = wanted.map((vma) => ({ vma, fd: opened.get(vma.path) ?? -1 }));
  return { mappings, softErrors, [Symbol.dispose]: close };
}

/**
 * Writes the recorded content of one mapping back to its file; only blocks that differ, nothing past the file's
 * end. The last act before the program starts: it cannot be undone. Returns the bytes written.
 */
export function rollbackSharedMapping(
  coreFd: number,
  { vma, fd }: SharedMapping,
  runs: readonly PageRun[],
): number {
  const sizeBytes = fstatSync(fd).size;
  let written = 0;
  for (const run of runs) {
    if (run.address < vma.start || run.address >= vma.end) continue;
    const fileOffset = Number(vma.offset + (run.address - vma.start));
    const lengthBytes = Math.min(run.lengthBytes, sizeBytes - fileOffset);
    for (let at = 0; at < lengthBytes; at += CHUNK_BYTES) {
      const recorded = readPadded(coreFd, Math.min(CHUNK_BYTES, lengthBytes - at), run.fileOffset + at);
      if (recorded.equals(readPadded(fd, recorded.length, fileOffset + at))) continue;
      writeAll(fd, recorded, fileOffset + at);
      written += recorded.length;
    }
  }
  return written;
}

function openOne(vma: Vma, wasPutBack: boolean): { fd: number; changes: string[] } {
  const look = lookAt(vma.path);
  try {
    const changes = wasPutBack ? [] : findChanges(vma, look);
    const fd = reopenDescriptor(look.fd, constants.O_RDWR);
    return { fd, changes };
  } catch (error) {
    throw error instanceof CrError ? error : openFailed(vma.path, error);
  } finally {
    closeSync(look.fd);
  }
}

/** Device numbers in maps are not those of stat(2) on overlayfs and btrfs, so only the inode is compared. */
function findChanges(vma: Vma, look: FileLook): string[] {
  const { path, stat } = look;
  if (!stat.isFile()) throw changed(path, `is ${describeKind(stat)} now, a regular file is required`);
  const changes: string[] = [];
  if (stat.ino !== vma.ino && vma.ino !== 0n)
    changes.push(`was replaced (inode ${stat.ino}, it was ${vma.ino})`);
  const wasBytes = vma.file?.sizeBytes ?? null;
  if (wasBytes !== null && stat.size < BigInt(wasBytes)) {
    changes.push(`shrank from ${wasBytes} to ${stat.size} bytes`);
  }
  for (const { pid, comm, how } of otherWriters([look])) {
    const what = how === "write" ? "has it open for writing" : "has it mapped for writing";
    changes.push(`is not the program's alone: process ${pid} (${comm}) ${what}`);
  }
  return changes;
}

function soft(path: string, what: string): SoftError {
  return { kind: "shared-mapping", id: path, message: `file ${path}: ${what}` };
}

function changed(path: string, what: string): CrError {
  return new CrError("FILE_CHANGED", `roll back ${path}, which the program had mapped shared: it ${what}`, {
    hint: "end whoever uses it or put the file back; --files keep maps it as it is",
    data: { path },
  });
}
