/** The vdso of a process: code of the kernel's that programs call by address, with its data pages beside it. */
import { closeSync, openSync, readFileSync } from "node:fs";
import type { Address } from "../state/address.js";
import { parseSmaps } from "./maps.js";
import { readMemory } from "./memory.js";
import { crc32cRanges } from "./native.js";

export interface VdsoMapping {
  readonly start: Address;
  readonly end: Address;
}

/** Every `[v*]` mapping of a process in order: vvar pages and the vdso itself (never [vsyscall]). */
export function vdsoMappings(pid: number | "self"): (VdsoMapping & { readonly path: string })[] {
  const lines = readFileSync(`/proc/${pid}/maps`, "latin1").split("\n");
  const maps = parseSmaps(lines.filter((line) => line.includes("[v")).join("\n"));
  return maps.filter((vma) => vma.kind === "special" && vma.path.startsWith("[v"));
}

/** CRC32C over the bytes of a process's [vdso]; null when it has none. */
export function vdsoCrc32c(pid: number | "self", mappings = vdsoMappings(pid)): number | null {
  const vdso = mappings.find(({ path }) => path === "[vdso]");
  if (vdso === undefined) return null;
  const mem = openSync(`/proc/${pid}/mem`, "r");
  try {
    const lengthBytes = Number(vdso.end - vdso.start);
    return crc32cRanges(mem, [{ fileOffset: Number(vdso.start), lengthBytes }])[0] ?? null;
  } finally {
    closeSync(mem);
  }
}

/** This kernel's vdso, as it is in our own process. */
export interface OwnVdso {
  readonly crc32c: number;
  readonly image: Buffer;
  readonly mappings: readonly (VdsoMapping & { readonly path: string })[];
}

/** Reads our own; null when the kernel runs without one (vdso=0). */
export function ownVdso(): OwnVdso | null {
  const mappings = vdsoMappings("self");
  const vdso = mappings.find(({ path }) => path === "[vdso]");
  const crc32c = vdsoCrc32c("self", mappings);
  if (vdso === undefined || crc32c === null) return null;
  return { crc32c, image: readMemory(process.pid, vdso.start, Number(vdso.end - vdso.start)), mappings };
}
