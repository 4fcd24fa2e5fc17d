/** Memory policies of single mappings as /proc/PID/numa_maps prints them (mbind(2), numa(7)). */
import { isErrno } from "../errors.js";
import type { Address } from "../state/address.js";
import type { Vma } from "../state/vma.js";
import { CountedList, readCountedList } from "./counted-list.js";

export type MemoryPolicy = NonNullable<Vma["policy"]>;

/** linux/mempolicy.h, by the names of mpol_to_str() in mm/mempolicy.c. */
const MODES: Readonly<Record<string, number>> = {
  prefer: 1,
  bind: 2,
  interleave: 3,
  local: 4,
  "prefer (many)": 5,
  "weighted interleave": 6,
};
const FLAGS: Readonly<Record<string, number>> = { static: 1 << 15, relative: 1 << 14, balancing: 1 << 13 };
const LINE =
  /^([0-9a-f]+) (prefer \(many\)|weighted interleave|[a-z]+)(?:=([a-z|]+))?(?::([0-9,-]+))?(?: |$)/gm;

const listOf = (pid: number) => `/proc/${pid}/numa_maps`;

/** Policies that are read while something else is done, of a process with these mappings; to be disposed of. */
export function beginPolicies(pid: number, mappings: readonly Vma[]): CountedList {
  return CountedList.begin(listOf(pid), mappings);
}

/** By the start of a mapping, where it is not the default; empty on a kernel without NUMA. Errors of reading. */
export function readPolicies(pid: number, begun?: CountedList): ReadonlyMap<Address, MemoryPolicy> {
  try {
    return parseNumaMaps(begun?.text("latin1") ?? readCountedList(listOf(pid), "latin1"));
  } catch (error) {
    if (isErrno(error, "ENOENT")) return new Map();
    throw error;
  }
}

/** Parses the text of numa_maps; a mode of a later kernel is left out. */
export function parseNumaMaps(text: string): ReadonlyMap<Address, MemoryPolicy> {
  const found = new Map<Address, MemoryPolicy>();
  for (const [, start = "", name = "", flags = "", nodes = ""] of text.matchAll(LINE)) {
    const mode = MODES[name];
    if (mode === undefined) continue;
    const set = flags.split("|").reduce((all, flag) => all | (FLAGS[flag] ?? 0), mode);
    found.set(BigInt(`0x${start}`), { mode: set, nodes: maskOf(nodes) });
  }
  return found;
}

/** Whole 64-bit words, as get_mempolicy(2) fills them, of a list such as `0-3,8`. */
function maskOf(list: string): Buffer {
  const numbers = list.split(",").flatMap((part) => {
    const [first = "", last = first] = part.split("-");
    if (first === "") return [];
    return Array.from({ length: Number(last) - Number(first) + 1 }, (_, index) => Number(first) + index);
  });
  const mask = Buffer.alloc(numbers.length === 0 ? 0 : (Math.floor(Math.max(...numbers) / 64) + 1) * 8);
  for (const node of numbers) mask.writeUInt8(mask.readUInt8(node >> 3) | (1 << (node & 7)), node >> 3);
  return mask;
}
