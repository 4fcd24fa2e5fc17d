/**
 * What cores of other tools do not carry, as soft errors: told at a restore, shown by inspect. The kinds are
 * those of docs/limits.md.
 */
import { statSync } from "node:fs";
import type { SoftError } from "../state/soft-error.js";
import type { ThreadState } from "../state/thread.js";
import type { Heap } from "./foreign-brk.js";
import { componentsIn } from "./foreign-xstate.js";
import type { MappedFile } from "./nt-file.js";
import type { CoreFile } from "./reader.js";
import type { NotedThread } from "./standard-notes.js";

const ALWAYS: readonly (readonly [kind: string, message: string])[] = [
  ["signal", "the core does not carry signal handlers; every signal has its default action"],
  ["fd", "the core does not carry descriptors; the program gets 0, 1 and 2 of cr restore and no other"],
  ["cwd", "the core does not carry the working folder and umask; those of cr restore are used"],
  ["credentials", "the core carries only the real user and group; the program gets the rights of cr restore"],
  ["limit", "the core does not carry resource limits; those of cr restore are used"],
  ["timer", "the core does not carry timers; none is set"],
  [
    "thread",
    "the core does not carry alternate signal stacks, robust lists and affinity; they are as in a new program",
  ],
  ["mapping", "the core does not carry madvise and mlock settings; mappings have none"],
];

const GCORE_MAPPINGS =
  "gdb leaves mappings without access, and those excluded with MADV_DONTDUMP, out of its cores; they are not mapped";

/** Components of the XSAVE area from the AVX-512 mask registers on. */
const BEYOND_AVX = ~0b111n;

export interface LossSources {
  readonly core: CoreFile;
  readonly files: readonly MappedFile[];
  readonly threads: readonly ThreadState[];
  readonly noted: readonly NotedThread[];
  readonly heap: Heap;
}

/** Everything a core of this origin lacks, and what of its mapped files may have changed since. */
export function foreignLosses({ core, files, threads, noted, heap }: LossSources): SoftError[] {
  const losses = ALWAYS.map(([kind, message]): SoftError => ({ kind, id: "", message }));
  if (core.origin === "gcore") losses.push({ kind: "mapping", id: "", message: GCORE_MAPPINGS });
  if (heap.isGuess) {
    const message = "the core has no heap (brk); an empty one starts behind the program's data";
    losses.push({ kind: "brk", id: "", message });
  }
  for (const { status, xstate } of noted) {
    const id = `tid:${status.tid}`;
    if (status.sigpend !== 0n) {
      const message = `signals were pending (mask 0x${status.sigpend.toString(16)}); they are dropped`;
      losses.push({ kind: "signal", id, message });
    }
    if (core.origin === "gcore" && (componentsIn(xstate) & BEYOND_AVX) !== 0n) {
      const message = "gdb's order of AVX-512 registers is not every CPU's; where it differs they are zero";
      losses.push({ kind: "xstate", id, message });
    }
  }
  const isMusl = files.some(({ path }) => /\/ld-musl-[^/]*$/.test(path));
  if (!isMusl && threads.some(({ rseq }) => rseq === null)) {
    const message = "no registration of restartable sequences (rseq) was found; the program goes on without";
    losses.push({ kind: "rseq", id: "", message });
  }
  return [...losses, ...changedFiles(core, files)];
}

/** Cores of others record no times or sizes of files: a file younger than the core is suspicious. */
function changedFiles(core: CoreFile, files: readonly MappedFile[]): SoftError[] {
  const paths = [...new Set(files.filter(({ deleted }) => !deleted).map(({ path }) => path))];
  return paths.flatMap((path): SoftError[] => {
    const mtimeMs = statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0;
    const message = `${path} was changed after the core was written; pages come from the new file`;
    return mtimeMs > core.mtimeMs ? [{ kind: "file", id: path, message }] : [];
  });
}
