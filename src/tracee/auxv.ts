/** The auxiliary vector (getauxval(3)): pairs of 64-bit words, type and value, ended by type 0. */

/** Parses the bytes of /proc/PID/auxv or of an NT_AUXV note. */
export function readAuxv(bytes: Buffer): ReadonlyMap<number, bigint> {
  const entries = new Map<number, bigint>();
  for (let at = 0; at + 16 <= bytes.length; at += 16) {
    const type = Number(bytes.readBigUInt64LE(at));
    if (type === 0) break;
    entries.set(type, bytes.readBigUInt64LE(at + 8));
  }
  return entries;
}
