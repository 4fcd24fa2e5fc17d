/**
 * ProcessState from a core that gdb's gcore or the kernel wrote: what it has, found elsewhere what a restart cannot
 * do without (brk), and a soft error for all that is missing.
 */
import { CrError } from "../errors.js";
import { type Address, PAGE_BYTES, RUN_BYTES_MAX } from "../state/address.js";
import { AT, decodeAuxv } from "../state/auxv.js";
import type { ProcessState } from "../state/process.js";
import { getRegister } from "../state/registers.js";
import type { Vma } from "../state/vma.js";
import { coreMemory, type ReadMemory } from "./core-memory.js";
import { crc32c } from "./crc32c.js";
import { findHeap, type Heap } from "./foreign-brk.js";
import { foreignLosses } from "./foreign-losses.js";
import { foreignMm } from "./foreign-mm.js";
import { foreignCredentials, foreignProcess } from "./foreign-process.js";
import { foreignThreads } from "./foreign-threads.js";
import { foreignMappings } from "./foreign-vmas.js";
import { componentsIn } from "./foreign-xstate.js";
import { type LibcVariable, mappedObjects } from "./mapped-objects.js";
import type { CoreFile } from "./reader.js";
import { decodeStandardNotes, type StandardNotes } from "./standard-notes.js";

export interface ForeignOptions {
  /** Called with what a restart cannot do without; throws it when left out. To look at a core, collect it. */
  readonly onMissing?: (missing: CrError) => void;
}

/**
 * The process in a core of another tool. Unknown things have the values of a new process: working folder `""`,
 * no limits, no descriptors, executable by path alone. Throws FOREIGN_CORE when it lacks what no restart can do
 * without, BAD_CORE when it contradicts itself.
 */
export function decodeForeign(core: CoreFile, options: ForeignOptions = {}): ProcessState {
  const found = gather(core, options);
  const { standard, auxv, files, memory, mappings, objects, heap, stack } = found;
  const variable = (name: LibcVariable) => objects.variable(name, memory);
  const threads = foreignThreads({ standard, memory, variable }, core.path);
  const losses = foreignLosses({ core, files, threads, heap, noted: standard.threads });
  return {
    process: foreignProcess(standard, found.exePath),
    host: {
      tool: core.origin === "kernel" ? "the kernel" : core.origin,
      takenMs: Math.round(core.mtimeMs),
      hostname: "",
      kernel: "",
      bootId: "",
      xstateComponents: threads.reduce((mask, { xstate }) => mask | componentsIn(xstate), 0n),
      vdsoCrc32c: vdsoChecksum(mappings.vmas, memory),
      mode: "stop",
    },
    threads,
    mm: foreignMm(found),
    auxv,
    vmas: nameHeapAndStack(mappings.vmas, heap, stack),
    signals: { actions: [], pending: [] },
    timers: { itimers: [], posix: [] },
    files: { descriptions: [], descriptors: [] },
    limits: [],
    credentials: foreignCredentials(standard),
    runs: mappings.runs,
    softErrors: [...losses, ...mappings.softErrors],
    siginfo: standard.siginfo,
  };
}

/** All that is decoded or found elsewhere, before it is put into the nouns. */
function gather(core: CoreFile, { onMissing }: ForeignOptions) {
  const missing = (what: string, hint: string) => {
    const data = { path: core.path, origin: core.origin };
    const error = new CrError("FOREIGN_CORE", `read core ${core.path}: ${what}`, { hint, data });
    if (onMissing === undefined) throw error;
    onMissing(error);
  };
  const standard = decodeStandardNotes(core.notes, core.path);
  const { auxv, files, first } = requireNotes(standard, core);
  const entries = decodeAuxv(auxv);
  const exePath = exeOf(files, entries);
  if (exePath === "") {
    missing("NT_FILE does not name the executable", "take the core again with cr checkpoint or gcore");
  }
  const objects = mappedObjects(files, exePath);
  const exe = objects.at(exePath);
  const memory = coreMemory(core, core.segments);
  const rsp = getRegister(first.status.registers, "rsp");
  if (memory(rsp, 8) === null) {
    missing(
      "it does not hold the stack",
      "let the kernel dump anonymous memory: /proc/PID/coredump_filter 0x33",
    );
  }
  const mappings = foreignMappings(core.segments, { objects, vdso: entries.get(AT.SYSINFO_EHDR) ?? 0n });
  const stack = holderOf(mappings.vmas, entries.get(AT.EXECFN) ?? rsp);
  const heap = findHeap({ vmas: mappings.vmas, objects, memory, exe });
  if (heap === null) {
    missing(
      "it does not say where the heap ends, and neither libc nor the executable could be read to find out",
      "put the executable and libc back where the program had them",
    );
  }
  const bounds = heap ?? { startBrk: 0n, brk: 0n, isGuess: false };
  return {
    standard,
    auxv,
    files,
    entries,
    exePath,
    objects,
    exe,
    memory,
    rsp,
    mappings,
    stack,
    heap: bounds,
  };
}

/** The notes without which nothing can be said of a process; FOREIGN_CORE names the missing one. */
function requireNotes({ auxv, files, threads, info }: StandardNotes, core: CoreFile) {
  const [first] = threads;
  const absent = [
    ...(first === undefined ? ["NT_PRSTATUS"] : []),
    ...(info === null ? ["NT_PRPSINFO"] : []),
    ...(auxv === null ? ["NT_AUXV"] : []),
    ...(files === null ? ["NT_FILE"] : []),
  ];
  if (first !== undefined && info !== null && auxv !== null && files !== null) return { first, auxv, files };
  throw new CrError(
    "FOREIGN_CORE",
    `read core ${core.path}: it has no note ${absent.join(", ")}, a restart needs it`,
    {
      hint: "take the core with gcore or cr checkpoint on a current Linux",
      data: { path: core.path, missing: absent },
    },
  );
}

/** The file that the program headers, or else the entry point, of the executable lie in. */
function exeOf(files: NonNullable<StandardNotes["files"]>, entries: ReadonlyMap<number, bigint>): string {
  const inside = (address: Address | undefined) =>
    files.find(({ start, end }) => address !== undefined && address >= start && address < end);
  return (inside(entries.get(AT.PHDR)) ?? inside(entries.get(AT.ENTRY)))?.path ?? "";
}

function holderOf(vmas: readonly Vma[], address: Address): Vma | undefined {
  return vmas.find(({ start, end, kind }) => kind === "anonymous" && address >= start && address < end);
}

/** Over the whole mapping, as for cores of ours; null when the core does not hold it. */
function vdsoChecksum(vmas: readonly Vma[], memory: ReadMemory): number | null {
  const vdso = vmas.find(({ kind }) => kind === "special");
  const lengthBytes = vdso === undefined ? 0 : Number(vdso.end - vdso.start);
  if (vdso === undefined || lengthBytes > RUN_BYTES_MAX) return null;
  const bytes = memory(vdso.start, lengthBytes);
  return bytes === null || lengthBytes < PAGE_BYTES ? null : crc32c(bytes);
}

function nameHeapAndStack(vmas: readonly Vma[], { startBrk, brk }: Heap, stack: Vma | undefined): Vma[] {
  return vmas.map((vma) => {
    if (vma === stack) return { ...vma, path: "[stack]", flags: ["gd"] };
    const isHeap = vma.kind === "anonymous" && vma.start < brk && vma.end > startBrk;
    return isHeap ? { ...vma, path: "[heap]" } : vma;
  });
}
