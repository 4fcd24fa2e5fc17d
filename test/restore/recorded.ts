/**
 * What a checkpoint would record of real files: descriptions made from files that exist, and a folder that goes
 * away with the test. Knows nothing of cores; tests pass descriptors of plain files as the core.
 */
import { mkdtempSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { onTestFinished } from "vitest";
import { formatDevice } from "../../src/host/device-number.js";
import type { PrepareOptions } from "../../src/restore/files.js";
import type { FileDescription, FileState } from "../../src/state/fd.js";
import type { Vma } from "../../src/state/vma.js";

/** A folder of the running test's own. */
export function makeFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), "recore-restore-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** The description of a file as it is now, open with `flags`. */
export function record(path: string, changes: Partial<FileDescription> = {}): FileDescription {
  const stat = statSync(path, { bigint: true });
  return {
    id: 0,
    kind: stat.isDirectory() ? "directory" : stat.isCharacterDevice() ? "device" : "regular",
    path,
    deleted: false,
    flags: 0,
    position: 0n,
    dev: formatDevice(stat.dev),
    ino: stat.ino,
    mode: Number(stat.mode),
    rdev: formatDevice(stat.rdev),
    uid: Number(stat.uid),
    gid: Number(stat.gid),
    sizeBytes: Number(stat.size),
    mtimeNs: stat.mtimeNs,
    content: null,
    watches: null,
    object: null,
    owner: null,
    locks: [],
    ...changes,
  };
}

/** Descriptors 3, 4, … for the descriptions, which are numbered 0, 1, …; `fds` gives other numbers. */
export function stateOf(descriptions: readonly FileDescription[], fds?: readonly number[]): FileState {
  return {
    descriptions: descriptions.map((description, id) => ({ ...description, id })),
    descriptors: descriptions.map((_, id) => ({ fd: fds?.[id] ?? 3 + id, description: id, cloexec: false })),
  };
}

/** Options of a restore of an own core in `folder`, in the boot of its checkpoint. */
export function optionsFor(folder: string, changes: Partial<PrepareOptions> = {}): PrepareOptions {
  return {
    policy: "rollback",
    placements: [],
    runs: [],
    corePath: join(folder, "core.1"),
    coreFd: -1,
    vmas: [],
    sameBoot: true,
    foreign: false,
    ...changes,
  };
}

/** A mapping of a file as it is now, from its first byte. */
export function recordMapping(path: string, changes: Partial<Vma> = {}): Vma {
  const { dev, ino, size, mtimeNs } = statSync(path, { bigint: true });
  const start = 0x7000_0000_0000n;
  return {
    start,
    end: start + ((size + 4095n) / 4096n) * 4096n,
    prot: "r--p",
    offset: 0n,
    path,
    deleted: false,
    dev: formatDevice(dev),
    ino,
    flags: [],
    kind: "file",
    file: { sizeBytes: Number(size), mtimeNs, buildId: null },
    guards: [],
    ...changes,
  };
}
