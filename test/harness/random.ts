/** Numbers by chance that are the same in every run: failures come again. */

/** A function that gives the next number from 0 up to, and without, `end`. */
export function randomNumbers(seed: number): (end: number) => number {
  let state = seed >>> 0 || 1;
  return (end) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return Math.floor(((state >>> 0) / 2 ** 32) * end);
  };
}
