/**
 * The heap of a core that another tool wrote. Such cores do not carry brk, which libc caches: it is read from
 * libc's own variable, else taken from the anonymous mapping where the kernel places a heap.
 */
import { type Address, pageUp, USER_END } from "../state/address.js";
import type { Vma } from "../state/vma.js";
import type { ReadMemory } from "./core-memory.js";
import type { LoadedObject, MappedObjects } from "./mapped-objects.js";

/** How far behind .bss a randomised heap may start (arch_randomize_brk of arch/x86/kernel/process.c). */
const RANDOM_BYTES = 1n << 30n;

/** ELF_ET_DYN_BASE: from here on the kernel places the heap of a static PIE (fs/binfmt_elf.c). */
const DYN_BASE: Address = 0x5555_5555_4000n;

/** Below this a program is not among the mmap()ed files, and what touches its .bss is its heap. */
const MMAP_AREA: Address = 0x7000_0000_0000n;

export interface Heap {
  readonly startBrk: Address;
  readonly brk: Address;
  /** No heap was found: the place of an empty one is not known, and the program cannot have kept it. */
  readonly isGuess: boolean;
}

export interface BrkSources {
  readonly vmas: readonly Vma[];
  readonly objects: MappedObjects;
  readonly memory: ReadMemory;
  /** The executable, null when it cannot be read here. */
  readonly exe: LoadedObject | null;
}

/** The heap, null when nothing tells where it was. */
export function findHeap(sources: BrkSources): Heap | null {
  const { vmas, objects, memory, exe } = sources;
  const brk = objects.variable("__curbrk", memory);
  const bssEnd = exe === null ? null : pageUp(endOfImage(exe));
  if (brk !== null && brk !== 0n && brk < USER_END) {
    const heap = vmas.find(({ start, end }) => start < brk && brk <= end);
    if (heap === undefined || heap.kind !== "anonymous") return { startBrk: brk, brk, isGuess: false };
    const joinsBss = bssEnd !== null && heap.start < bssEnd && bssEnd <= brk;
    return { startBrk: joinsBss ? bssEnd : heap.start, brk, isGuess: false };
  }
  return bssEnd === null ? null : heapBehind(bssEnd, vmas);
}

/** Without randomisation the heap follows .bss at once and is one mapping with it; else it starts further on. */
function heapBehind(bssEnd: Address, vmas: readonly Vma[]): Heap {
  const heaps = vmas.filter(({ kind, prot }) => kind === "anonymous" && prot === "rw-p");
  const joined = heaps.find(({ start, end }) => start < bssEnd && bssEnd < end);
  if (joined !== undefined && bssEnd < MMAP_AREA)
    return { startBrk: bssEnd, brk: joined.end, isGuess: false };
  for (const base of bssEnd < MMAP_AREA ? [bssEnd] : [DYN_BASE]) {
    const heap = heaps.find(({ start }) => start >= base && start <= base + RANDOM_BYTES);
    if (heap !== undefined) return { startBrk: withGuard(heap, vmas), brk: heap.end, isGuess: false };
  }
  return { startBrk: bssEnd, brk: bssEnd, isGuess: true };
}

/** musl makes the first page of its heap inaccessible. */
function withGuard(heap: Vma, vmas: readonly Vma[]): Address {
  const guard = vmas.find(
    ({ end, kind, prot }) => end === heap.start && kind === "anonymous" && prot === "---p",
  );
  return guard?.start ?? heap.start;
}

/** First address behind the program's data and .bss. */
export function endOfImage({ loads, bias }: LoadedObject): Address {
  const ends = loads.map(({ address, memoryBytes }) => address + BigInt(memoryBytes));
  return bias + ends.reduce((a, b) => (a > b ? a : b), 0n);
}
