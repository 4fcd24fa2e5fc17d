/** Lists of 32-bit numbers (tids, results, signals) as the native library takes and gives them. */

/** An int32_t array. */
export function packInts(values: readonly number[]): Buffer {
  const packed = Buffer.alloc(values.length * 4);
  values.forEach((value, index) => {
    packed.writeInt32LE(value, index * 4);
  });
  return packed;
}

/** The numbers of an int32_t array. */
export function unpackInts(packed: Buffer): number[] {
  return Array.from({ length: packed.length / 4 }, (_, index) => packed.readInt32LE(index * 4));
}
