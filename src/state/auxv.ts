/** The auxiliary vector (getauxval(3)): pairs of 64-bit words, ended by AT_NULL. */

/** Keys of linux/auxvec.h that Recore reads. */
export const AT = { PHDR: 3, BASE: 7, ENTRY: 9, RANDOM: 25, EXECFN: 31, SYSINFO_EHDR: 33 } as const;

/** The entries before AT_NULL, of a live process or of an NT_AUXV note. */
export function decodeAuxv(auxv: Buffer): Map<number, bigint> {
  const entries = new Map<number, bigint>();
  for (let at = 0; at + 16 <= auxv.length; at += 16) {
    const key = Number(auxv.readBigUInt64LE(at));
    if (key === 0) break;
    entries.set(key, auxv.readBigUInt64LE(at + 8));
  }
  return entries;
}
