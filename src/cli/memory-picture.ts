/** A line of cells that shows which parts of a mapping the core holds; pure. */
import type { Address } from "../state/address.js";

const CELLS = 32;
const SHADES = { unicode: [..." ░▒▓█"], ascii: [..." .:+#"] };

export interface StoredPart {
  readonly address: Address;
  readonly lengthBytes: number;
}

/** 32 cells for [start, end), darker where more of it is stored; `parts` lie inside, in order. */
export function memoryPicture(
  range: { readonly start: Address; readonly end: Address },
  parts: readonly StoredPart[],
  charset: keyof typeof SHADES,
): string {
  const sizeBytes = Number(range.end - range.start);
  const cellBytes = sizeBytes / CELLS;
  const filled = new Array<number>(CELLS).fill(0);
  for (const { address, lengthBytes } of parts) {
    const from = Number(address - range.start);
    const to = from + lengthBytes;
    const last = Math.min(CELLS - 1, Math.ceil(to / cellBytes) - 1);
    for (let cell = Math.floor(from / cellBytes); cell <= last; cell += 1) {
      const inCell = Math.min(to, (cell + 1) * cellBytes) - Math.max(from, cell * cellBytes);
      filled[cell] = (filled[cell] ?? 0) + inCell / cellBytes;
    }
  }
  return filled.map((share) => shade(share, SHADES[charset])).join("");
}

/** The character set of the terminal's locale (locale(7)). */
export function charsetOf(env: NodeJS.ProcessEnv): keyof typeof SHADES {
  const locale = env.LC_ALL || env.LC_CTYPE || env.LANG || "";
  return /utf-?8/i.test(locale) ? "unicode" : "ascii";
}

/** Anything stored at all shows: the lightest shade is for the smallest share above zero. */
function shade(share: number, shades: readonly string[]): string {
  const last = shades.length - 1;
  const level = share <= 0.0001 ? 0 : Math.min(last, Math.max(1, Math.round(share * last)));
  return shades[level] ?? "";
}
