/**
 * Generations: the checkpoints of a job, `core.<pid>.<000001>`, a file for one process and a folder with a
 * manifest.json for a tree. Numbers only grow within a job. A core has its final name only when it is whole (it is
 * renamed into place), so a listing is of whole ones; contents are checked by `cr verify`.
 */
import { readdirSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";
import { isErrno } from "../errors.js";
import type { Job } from "./job.js";

export interface Generation {
  readonly number: number;
  readonly pid: number;
  readonly path: string;
  /** Time of its last change, Unix time in ms. */
  readonly takenMs: number;
  /** Length of a file in bytes; 0 for a folder. */
  readonly sizeBytes: number;
}

const NAME = /^core\.(\d+)\.(\d{6,})$/;

/** The whole generations of a job, oldest first. */
export function listGenerations(job: Job): readonly Generation[] {
  return readdirSync(job.folder)
    .flatMap((file) => {
      const [, pid, number] = NAME.exec(file) ?? [];
      const path = join(job.folder, file);
      const found = pid === undefined ? undefined : measureWhole(path);
      return found === undefined ? [] : [{ number: Number(number), pid: Number(pid), path, ...found }];
    })
    .sort((a, b) => a.number - b.number);
}

/** The newest whole generation. */
export function newestGeneration(job: Job): Generation | undefined {
  return listGenerations(job).at(-1);
}

/** Number and path of the generation to write next; broken ones keep their numbers too. */
export function nextGeneration(job: Job, pid: number): { readonly number: number; readonly path: string } {
  const numbers = readdirSync(job.folder).map((file) => Number(NAME.exec(file)?.[2] ?? 0));
  const number = Math.max(0, ...numbers) + 1;
  return { number, path: join(job.folder, `core.${pid}.${String(number).padStart(6, "0")}`) };
}

/** Removes a generation, file or folder. */
export function removeGeneration(generation: Generation): void {
  rmSync(generation.path, { recursive: true, force: true });
}

function measureWhole(path: string): Pick<Generation, "takenMs" | "sizeBytes"> | undefined {
  try {
    const stats = statSync(path);
    if (stats.isFile()) {
      return stats.size > 0 ? { takenMs: stats.mtimeMs, sizeBytes: stats.size } : undefined;
    }
    return { takenMs: statSync(join(path, "manifest.json")).mtimeMs, sizeBytes: 0 };
  } catch (error) {
    // Removed meanwhile, or a folder without its manifest, which is written last.
    if (isErrno(error, "ENOENT", "ENOTDIR")) return undefined;
    throw error;
  }
}
