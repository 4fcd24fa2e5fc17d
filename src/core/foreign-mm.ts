/**
 * The memory bounds that the kernel keeps (struct prctl_mm_map), for cores that do not carry them: code and data
 * from the executable's headers, arguments and environment from the top of the stack, where execve(2) put them:
 *
 *   startStack: argc | argv…, 0 | envp…, 0 | auxv | … | argument strings | environment strings | AT_EXECFN
 */
import type { Address } from "../state/address.js";
import { AT } from "../state/auxv.js";
import type { MmBounds, Vma } from "../state/vma.js";
import { type ReadMemory, readWord } from "./core-memory.js";
import type { Heap } from "./foreign-brk.js";
import type { LoadedObject } from "./mapped-objects.js";

/** Words looked at below the auxiliary vector: more than any ARG_MAX allows. */
const WORDS_MAX = 1 << 20;

export interface MmSources {
  readonly auxv: Buffer;
  readonly entries: ReadonlyMap<number, bigint>;
  readonly stack: Vma | undefined;
  readonly memory: ReadMemory;
  readonly exe: LoadedObject | null;
  readonly heap: Heap;
  /** Stack pointer of the first thread. */
  readonly rsp: Address;
}

/** Bounds that lie in order inside user space, as exact as the core allows. */
export function foreignMm(sources: MmSources): MmBounds {
  const { startBrk, brk } = sources.heap;
  return { ...codeAndData(sources.exe), startBrk, brk, ...argumentBounds(sources) };
}

/** As load_elf_binary of fs/binfmt_elf.c sets them: what is executable as code, the last segment as data. */
function codeAndData(
  exe: LoadedObject | null,
): Pick<MmBounds, "startCode" | "endCode" | "startData" | "endData"> {
  const bounds = { startCode: 0n, endCode: 0n, startData: 0n, endData: 0n };
  if (exe === null) return bounds;
  for (const { address, fileBytes, prot } of exe.loads) {
    const start = address + exe.bias;
    const end = start + BigInt(fileBytes);
    const isCode = prot[2] === "x";
    if (isCode && (bounds.startCode === 0n || start < bounds.startCode)) bounds.startCode = start;
    if (isCode && end > bounds.endCode) bounds.endCode = end;
    if (start > bounds.startData) bounds.startData = start;
    if (end > bounds.endData) bounds.endData = end;
  }
  return bounds;
}

type ArgumentBounds = Pick<MmBounds, "startStack" | "argStart" | "argEnd" | "envStart" | "envEnd">;

function argumentBounds(sources: MmSources): ArgumentBounds {
  const { entries, rsp, stack } = sources;
  const name = entries.get(AT.EXECFN) ?? rsp;
  const isInStack = (address: Address) =>
    stack !== undefined && address >= stack.start && address <= stack.end;
  const found = argumentPointers(sources);
  if (found !== null) {
    const { startStack, argv, envp } = found;
    const envStart = envp ?? name;
    const argStart = argv ?? envStart;
    const bounds = { startStack, argStart, argEnd: envStart, envStart, envEnd: name };
    const isOrdered = argStart <= envStart && envStart <= name;
    if (isOrdered && Object.values(bounds).every(isInStack)) return bounds;
  }
  return { startStack: rsp, argStart: name, argEnd: name, envStart: name, envEnd: name };
}

/** Walks down from the auxiliary vector on the stack to argc, which has to agree with the pointers above it. */
function argumentPointers({ auxv, stack, memory }: MmSources): {
  startStack: Address;
  argv: Address | null;
  envp: Address | null;
} | null {
  if (stack === undefined) return null;
  const auxvAt = findAuxv(auxv, stack, memory);
  if (auxvAt === null || readWord(memory, auxvAt - 8n) !== 0n) return null;
  let at = auxvAt - 16n;
  const walk = (isEnd: (word: bigint, count: number) => boolean): bigint | null => {
    for (let count = 0; count < WORDS_MAX; count += 1, at -= 8n) {
      const word = readWord(memory, at);
      if (word === null) return null;
      if (isEnd(word, count)) return word;
    }
    return null;
  };
  if (walk((word) => word === 0n) === null) return null;
  const envpAt = at + 8n;
  at -= 8n;
  if (walk((word, count) => word === BigInt(count)) === null) return null;
  const pointer = (address: Address) => {
    const word = readWord(memory, address);
    return word === 0n ? null : word;
  };
  return { startStack: at, argv: pointer(at + 8n), envp: pointer(envpAt) };
}

function findAuxv(auxv: Buffer, stack: Vma, memory: ReadMemory): Address | null {
  const stored = memory(stack.start, Number(stack.end - stack.start));
  const at = auxv.length === 0 ? -1 : (stored?.lastIndexOf(auxv) ?? -1);
  return at < 0 ? null : stack.start + BigInt(at);
}
