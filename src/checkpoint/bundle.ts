/**
 * What a checkpoint of a tree leaves on disk: a folder that appears under its name when it is whole. The cores are
 * unnamed until then, so that a killed cr leaves nothing; a lone process leaves its core alone (output.ts).
 */
import { closeSync, fsyncSync, mkdirSync, openSync, rmSync } from "node:fs";
import { dirname, join } from "node:path";
import { MANIFEST_NAME } from "../core/manifest.js";
import { writeAll } from "../file-bytes.js";
import { requireZstd } from "../tracee/frames.js";
import { OutputFile, type OutputOptions, outputFailed, syncFolder, temporaryName } from "./output.js";
import { moveIntoPlace } from "./place.js";

const FOLDER_MODE = 0o700;
const FILE_MODE = 0o600;

/** The path that stands for standard output. */
export const STREAM = "-";
const STDOUT = 1;

export class Output {
  readonly path: string;
  readonly #force: boolean;
  /** Made before the stop, it shows that there can be a file at all; the core of the member that asks first. */
  readonly #first: OutputFile;
  /** By pid. */
  readonly #files = new Map<number, OutputFile>();

  private constructor(first: OutputFile, force: boolean) {
    this.path = first.path;
    this.#force = force;
    this.#first = first;
  }

  /** Checks the path and opens a first unfinished file. OUTPUT_EXISTS, OUTPUT_UNSAFE, OUTPUT_FAILED. */
  static create(path: string, options: OutputOptions): Output {
    if ((options.compress ?? null) !== null) requireZstd();
    const first = path === STREAM ? OutputFile.spool(options) : OutputFile.create(path, options);
    return new Output(first, options.force);
  }

  /** The unfinished core of a member. */
  core(pid: number): OutputFile {
    const file = this.#files.get(pid) ?? (this.#files.size === 0 ? this.#first : this.#first.another());
    this.#files.set(pid, file);
    return file;
  }

  /** A new file for a member, of which something was written that does not hold any more. */
  renew(pid: number): OutputFile {
    const file = this.#first.another();
    const old = this.#files.get(pid);
    if (old !== undefined && old !== this.#first) old[Symbol.dispose]();
    this.#files.set(pid, file);
    return file;
  }

  /** Makes the core of a lone process durable under its name, or sends it to standard output. */
  commitFile(pid: number): void {
    if (this.path === STREAM) this.core(pid).send(STDOUT);
    else this.core(pid).commit();
  }

  /** Makes the folder durable under its name: the cores of the members, in their order, and the manifest. */
  commitFolder(pids: readonly number[], manifest: Buffer): void {
    const folder = temporaryName(this.path);
    try {
      mkdirSync(folder, FOLDER_MODE);
      for (const pid of pids) this.core(pid).commitInto(join(folder, `core.${pid}`));
      writeDurably(join(folder, MANIFEST_NAME), manifest);
      syncFolder(folder);
      moveIntoPlace(folder, this.path, this.#force);
      syncFolder(dirname(this.path));
    } catch (error) {
      rmSync(folder, { recursive: true, force: true });
      throw outputFailed(this.path, error);
    }
  }

  /** Closes the files; unfinished ones are gone. */
  [Symbol.dispose](): void {
    for (const file of new Set([this.#first, ...this.#files.values()])) file[Symbol.dispose]();
  }
}

function writeDurably(path: string, bytes: Buffer): void {
  const fd = openSync(path, "wx", FILE_MODE);
  try {
    writeAll(fd, bytes, 0);
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}
