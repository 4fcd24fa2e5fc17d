/**
 * The ELF files among the mapped files of a core, and where each was loaded. Answers by address what only the
 * files know: the value of a variable, the permissions of a mapping that the core leaves out.
 */
import { type Address, pageDown, pageUp } from "../state/address.js";
import { type ReadMemory, readWord } from "./core-memory.js";
import { type ElfObject, readObject } from "./elf-object.js";
import type { MappedFile } from "./nt-file.js";

/** Variables of libc that a restart needs: the end of the heap, and where rseq(2) is registered. */
const VARIABLES = ["__curbrk", "__rseq_offset", "__rseq_size"] as const;
export type LibcVariable = (typeof VARIABLES)[number];

/** An ELF file in memory: its addresses are those of the file plus `bias`. */
export interface LoadedObject extends ElfObject {
  readonly path: string;
  readonly bias: Address;
}

export interface MappedObjects {
  readonly files: readonly MappedFile[];
  /** The object at a path, null when the file is not there, not ELF, or not mapped as a loader does. */
  at(path: string): LoadedObject | null;
  /** A 64-bit variable of libc, read from the core; null where no mapped file defines it or it is not stored. */
  variable(name: LibcVariable, memory: ReadMemory): bigint | null;
}

/** Opens mapped files when they are first asked for. */
export function mappedObjects(files: readonly MappedFile[], exe: string): MappedObjects {
  const known = new Map<string, LoadedObject | null>();
  const candidates = libcCandidates(files, exe);
  const at = (path: string): LoadedObject | null => {
    const seen = known.get(path);
    if (seen !== undefined) return seen;
    const object = load(path, files, candidates.includes(path) ? VARIABLES : []);
    known.set(path, object);
    return object;
  };
  const variable = (name: LibcVariable, memory: ReadMemory): bigint | null => {
    for (const path of candidates) {
      const object = at(path);
      const value = object?.symbols.get(name);
      const word = object && value !== undefined ? readWord(memory, object.bias + value) : null;
      if (word !== null) return word;
    }
    return null;
  };
  return { files, at, variable };
}

/** `r-x` and the like for a mapped range that the core has no segment for, from its file's PT_LOADs. */
export function protFromFile(objects: MappedObjects, file: MappedFile): string {
  const object = objects.at(file.path);
  if (object === null) return "r--";
  const start = file.start - object.bias;
  const holder = object.loads.find(
    (load) => start >= pageDown(load.address) && start < pageUp(load.address + BigInt(load.fileBytes)),
  );
  if (holder !== undefined) {
    const isSamePlace = start - pageDown(holder.address) === file.offset - pageDown(BigInt(holder.offset));
    return isSamePlace ? holder.prot : "r--";
  }
  // Between two segments older loaders leave a part of the file mapped without access.
  const first = object.loads[0];
  const last = object.loads.at(-1);
  return first && last && start > first.address && start < last.address ? "---" : "r--";
}

function load(
  path: string,
  files: readonly MappedFile[],
  variables: readonly LibcVariable[],
): LoadedObject | null {
  const object = readObject(path, variables);
  if (object === null) return null;
  for (const file of files) {
    if (file.path !== path) continue;
    const load = object.loads.find(({ offset }) => pageDown(BigInt(offset)) === file.offset);
    if (load !== undefined) return { ...object, path, bias: file.start - pageDown(load.address) };
  }
  return null;
}

/** libc, then the executable (a static one holds its own), then the dynamic linker, whose copy is its own. */
function libcCandidates(files: readonly MappedFile[], exe: string): string[] {
  const paths = [...new Set(files.map(({ path }) => path))];
  const named = (pattern: RegExp) => paths.filter((path) => pattern.test(path));
  return [...named(/\/libc[.-][^/]*$/), exe, ...named(/\/ld(-|\.)[^/]*$/)];
}
