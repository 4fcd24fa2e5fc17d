/**
 * Which memory is in the core. A run is a page-aligned range of one VMA whose bytes stand in the core file,
 * one after the other, at a page-aligned offset; all-zero pages inside are holes of the file.
 * Pages of a VMA in no run: zero if the VMA is anonymous, the file's own bytes if it maps a file.
 * In cores of others offsets are not page-aligned, and a run may end inside a page, whose rest is then zero.
 */
import type { Address } from "./address.js";
import { decodeRunTable } from "./run-table.js";
import { bytes, z } from "./schema.js";

export { RUN_BYTES_MAX } from "./address.js";

export interface PageRun {
  readonly address: Address;
  readonly lengthBytes: number;
  /** Where the run stands in the core file, in bytes. */
  readonly fileOffset: number;
  /** CRC32C of the run's bytes (holes count as zeros). */
  readonly crc32c: number;
  /** True when the bytes are those of the mapped file itself (ELF headers, --self-contained): a debugger wants
   * them, a restore can take them from the file. */
  readonly sameAsFile: boolean;
}

const ADDRESS = /^0x[0-9a-f]{1,16}$/;

/** Of older cores. By hand: there is a row for every MiB of memory, and a schema takes longer for each than reading the memory does. */
function runOf(row: unknown): PageRun | null {
  if (!Array.isArray(row) || row.length !== 5) return null;
  const [address, lengthBytes, fileOffset, crc32c, same] = row as readonly unknown[];
  if (typeof address !== "string" || !ADDRESS.test(address)) return null;
  if (!isInt(lengthBytes) || !isInt(fileOffset) || !isInt(crc32c) || !isInt(same)) return null;
  return { address: BigInt(address), lengthBytes, fileOffset, crc32c, sameAsFile: same === 1 };
}

function isInt(value: unknown): value is number {
  return Number.isSafeInteger(value);
}

/** Note RECORE/PAGES: runs in order of address that do not overlap, in a table; in older cores five values a run. */
export const pagesSchema = z.pipe(
  z.object({ runs: z.optional(z.array(z.unknown())), table: z.optional(bytes) }),
  z.transform(({ runs: rows, table }, context): { runs: PageRun[] } => {
    const refuse = (path: (string | number)[], message: string) => {
      context.issues.push({ code: "custom", input: table, path, message });
      return { runs: [] };
    };
    if ((rows === undefined) === (table === undefined))
      return refuse(["runs"], "either runs or a table of them");
    if (table !== undefined) {
      const runs = decodeRunTable(table, (address, { lengthBytes, fileOffset, crc32c, tag }) => {
        return { address, lengthBytes, fileOffset, crc32c, sameAsFile: tag === 1 };
      });
      return runs === null ? refuse(["table"], "no table of runs") : { runs };
    }
    const runs: PageRun[] = [];
    for (let index = 0; index < (rows?.length ?? 0); index += 1) {
      const run = runOf(rows?.[index]);
      if (run === null) return refuse(["runs", index], "no run of pages");
      runs.push(run);
    }
    return { runs };
  }),
);

/** A range of a tracee's memory and where it belongs in a file; what bulk copies work on. */
export interface CopyRange {
  readonly address: Address;
  readonly lengthBytes: number;
  readonly fileOffset: number;
}
