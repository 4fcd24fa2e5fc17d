/** A bulk copy of a few ranges into a file, with the checksum of each range, for tests. */
import { PAGE_BYTES } from "../../src/state/address.js";
import { joinChecksums } from "../../src/state/page-checksums.js";
import type { CopyRange } from "../../src/state/pages.js";
import { copyPages } from "../../src/tracee/memory.js";
import { RangeList } from "../../src/tracee/range-list.js";

/** Bytes written, and CRC32C of each range. Throws `NativeError`. */
export function copyRanges(
  pid: number,
  fd: number,
  { ranges, threads }: { readonly ranges: readonly CopyRange[]; readonly threads: number },
): { writtenBytes: number; crc32c: number[] } {
  const list = new RangeList(1);
  for (const { address, lengthBytes, fileOffset } of ranges) {
    list.add(Number(address), Number(address) + lengthBytes, fileOffset);
  }
  const { writtenBytes, checksums } = copyPages(pid, fd, { list, threads });
  let page = 0;
  const crc32c = ranges.map(({ lengthBytes }) => {
    const first = page;
    page += lengthBytes / PAGE_BYTES;
    return joinChecksums(checksums.subarray(first, page));
  });
  return { writtenBytes, crc32c };
}
