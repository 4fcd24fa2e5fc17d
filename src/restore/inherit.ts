/**
 * What the newborn inherits from cr: its working folder, every mapped file and every open file
 * description, each opened once here and found there at a high number.
 */
import { closeSync, constants, openSync } from "node:fs";
import { isSegment } from "../state/object-mapping.js";
import type { ProcessState } from "../state/process.js";
import type { Vma } from "../state/vma.js";
import { openFailed } from "./file-look.js";
import type { DescriptorTable } from "./files.js";
import { spacesAround } from "./inside-users.js";
import { mappedFileOf } from "./mapped-files.js";
import type { SharedMappings } from "./shared-mappings.js";

/** Below this the program's own numbers mostly lie. */
const LOWEST_BASE = 64;

export interface Inheritance extends Disposable {
  /** Descriptors of cr in the order in which they stand from `base` on in the newborn. */
  readonly fds: readonly number[];
  readonly base: number;
  /** Numbers inside the newborn; no folder where it has mounts of its own. */
  readonly cwd: number | null;
  readonly sources: number;
  mapped(vma: Vma): number;
}

export interface InheritanceParts {
  readonly state: ProcessState;
  readonly prepared: DescriptorTable;
  readonly shared: SharedMappings;
  /** The executable that stands for the recorded one. */
  readonly exe: string;
  /** Shared anonymous memory that several processes of a tree have, open in cr. */
  readonly memory?: (vma: Vma) => number | undefined;
}

/** Opens mapped files and the working folder and numbers everything. FILE_MISSING or NOT_PERMITTED. */
export function inherit(parts: InheritanceParts): Inheritance {
  const [inheritance] = inheritTogether([parts]);
  if (inheritance === undefined) throw new RangeError("nobody inherits");
  return inheritance;
}

/**
 * The same for the processes of a tree, whose `prepared` have the same sources: all inherit all, and each has its own
 * numbers for what it needs. Disposing one closes what all need.
 */
export function inheritTogether(all: readonly InheritanceParts[]): Inheritance[] {
  const opened = new Map<string, number>();
  const open = (path: string, flags: number): number => {
    const key = `${flags} ${path}`;
    const known = opened.get(key);
    if (known !== undefined) return known;
    try {
      const fd = openSync(path, flags);
      opened.set(key, fd);
      return fd;
    } catch (error) {
      throw openFailed(path, error);
    }
  };
  const close = () => {
    for (const fd of opened.values()) closeSync(fd);
    opened.clear();
  };
  try {
    const numbers = all.flatMap(({ prepared }) => [...prepared.descriptors, ...prepared.inside]);
    const base = numbers.reduce((highest, { fd }) => Math.max(highest, fd + 1), LOWEST_BASE);
    const fds: number[] = [];
    const number = (fd: number) => base + indexOrPush(fds, fd);
    const own = all.map(({ state, prepared, shared, exe, memory }) => {
      const { cwd } = state.process;
      const byVma = new Map<Vma, number>(shared.mappings.map(({ vma, fd }) => [vma, number(fd)]));
      for (const vma of state.vmas) {
        const known = memory?.(vma);
        if (known !== undefined) byVma.set(vma, number(known));
        if ((vma.kind !== "file" && vma.kind !== "shared-file") || byVma.has(vma) || isSegment(vma)) continue;
        const mapped = mappedFileOf(state.files, vma);
        if (mapped !== null) {
          byVma.set(vma, number(prepared.mapped.get(mapped.file.id) ?? -1));
          continue;
        }
        const path = vma.path === state.process.exe.path ? exe : vma.path;
        byVma.set(vma, number(open(path, constants.O_RDONLY)));
      }
      const isOurs = cwd.path !== "" && spacesAround(state)?.mnt === undefined;
      const folder = isOurs ? number(open(cwd.path, O_FOLDER)) : null;
      return { cwd: folder, mapped: (vma: Vma) => byVma.get(vma) ?? -1 };
    });
    const sources = base + fds.length;
    fds.push(...(all[0]?.prepared.sources ?? []).map(({ fd }) => fd));
    return own.map((one) => ({ fds, base, sources, ...one, [Symbol.dispose]: close }));
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
