/** The vdso of a process: code of the kernel's that programs call by address, so its bytes must not differ. */
import { closeSync, openSync, readFileSync } from "node:fs";
import type { Address } from "../state/address.js";
import { parseSmaps } from "./maps.js";
import { crc32cRanges } from "./native.js";

export interface VdsoMapping {
  readonly start: Address;
  readonly end: Address;
}

/** Every `[v*]` mapping of a process in order: vvar pages and the vdso itself (never [vsyscall]). */
export function vdsoMappings(pid: number | "self"): (VdsoMapping & { readonly path: string })[] {
  const maps = parseSmaps(readFileSync(`/proc/${pid}/maps`, "latin1"));
  return maps.filter((vma) => vma.kind === "special" && vma.path.startsWith("[v"));
}

/** CRC32C over the bytes of a process's [vdso]; null when it has none. */
export function vdsoCrc32c(pid: number | "self"): number | null {
  const vdso = vdsoMappings(pid).find((mapping) => mapping.path === "[vdso]");
  if (vdso === undefined) return null;
  const mem = openSync(`/proc/${pid}/mem`, "r");
  try {
    const lengthBytes = Number(vdso.end - vdso.start);
    return crc32cRanges(mem, [{ fileOffset: Number(vdso.start), lengthBytes }])[0] ?? null;
  } finally {
    closeSync(mem);
  }
}

/** CRC32C of this kernel's vdso, from our own; null when the kernel runs without one (vdso=0). */
export function ownVdsoCrc32c(): number | null {
  return vdsoCrc32c("self");
}
