/**
 * Plans a core file: where the stored memory goes and which segments describe it. Pure arithmetic.
 *
 *   0 ELF header page | 4096 runs, page-aligned, by address unless they were placed before | extraOffset …
 */
import { type Address, hex, PAGE_BYTES, RUN_BYTES_MAX, USER_END } from "../state/address.js";
import type { PageRun } from "../state/pages.js";
import type { Vma } from "../state/vma.js";
import type { Segment } from "./elf.js";

/** First byte of page data in a core of ours: the header has a page of its own. */
export const DATA_OFFSET = PAGE_BYTES;

/** A page-aligned range of one VMA whose content goes into the core. */
export interface StoredRange {
  readonly address: Address;
  readonly lengthBytes: number;
  /** The content equals that of the mapped file. */
  readonly sameAsFile: boolean;
  /** Where it stands already; else it gets the next place. */
  readonly fileOffset?: number;
}

export interface CoreLayout {
  /** Runs of RUN_BYTES_MAX at most, checksums still 0. */
  readonly runs: readonly PageRun[];
  /** PT_LOADs in order of address. */
  readonly segments: readonly Segment[];
  /** First free byte behind the runs, page-aligned. */
  readonly extraOffset: number;
}

/** Touching ranges as one, with their place in the file. */
interface Block {
  readonly address: Address;
  readonly lengthBytes: number;
  readonly fileOffset: number;
}

/**
 * Gives every stored range its place and every VMA its PT_LOADs, which tile it exactly. A mapped file's pages
 * that are not stored get segments of their own with p_filesz 0, because debuggers then read the file; memory
 * of other kinds is zero where it is not stored, so a segment may be longer in memory than in the file.
 * `vmas` and `stored` must be sorted, and each range inside one VMA: RangeError otherwise.
 */
export function planCore(vmas: readonly Vma[], stored: readonly StoredRange[]): CoreLayout {
  const runs: PageRun[] = [];
  const segments: Segment[] = [];
  let offset = DATA_OFFSET;
  let next = 0;
  for (const vma of vmas) {
    const blocks: Block[] = [];
    let range = stored[next];
    while (range !== undefined && range.address < vma.end) {
      checkRange(range, vma, blocks.at(-1));
      const { address, lengthBytes, fileOffset = offset } = range;
      appendRuns(runs, range, fileOffset);
      extendBlocks(blocks, { address, lengthBytes, fileOffset });
      offset = Math.max(offset, fileOffset + lengthBytes);
      next += 1;
      range = stored[next];
    }
    if (vma.start < USER_END) appendSegments(segments, vma, { blocks, offset });
  }
  const left = stored[next];
  if (left !== undefined) throw new RangeError(`stored range at ${hex(left.address)} is in no VMA`);
  return { runs, segments, extraOffset: offset };
}

function checkRange({ address, lengthBytes }: StoredRange, vma: Vma, before: Block | undefined): void {
  const isWhole = lengthBytes > 0 && lengthBytes % PAGE_BYTES === 0 && address % BigInt(PAGE_BYTES) === 0n;
  const isInside = address >= vma.start && address + BigInt(lengthBytes) <= vma.end;
  const isBehind = before === undefined || address >= before.address + BigInt(before.lengthBytes);
  if (isWhole && isInside && isBehind) return;
  throw new RangeError(`stored range at ${hex(address)} with ${lengthBytes} bytes does not fit its VMA`);
}

function appendRuns(runs: PageRun[], range: StoredRange, fileOffset: number): void {
  for (let done = 0; done < range.lengthBytes; done += RUN_BYTES_MAX) {
    runs.push({
      address: range.address + BigInt(done),
      lengthBytes: Math.min(RUN_BYTES_MAX, range.lengthBytes - done),
      fileOffset: fileOffset + done,
      crc32c: 0,
      sameAsFile: range.sameAsFile,
    });
  }
}

function extendBlocks(blocks: Block[], block: Block): void {
  const last = blocks.at(-1);
  const touches =
    last?.address === block.address - BigInt(last?.lengthBytes ?? 0) &&
    last.fileOffset + last.lengthBytes === block.fileOffset;
  if (last !== undefined && touches) {
    blocks[blocks.length - 1] = { ...last, lengthBytes: last.lengthBytes + block.lengthBytes };
  } else {
    blocks.push(block);
  }
}

/** The pieces of one VMA; `offset` is where a piece without bytes says it would stand. */
function appendSegments(
  segments: Segment[],
  vma: Vma,
  { blocks, offset }: { blocks: readonly Block[]; offset: number },
): void {
  const isFile = vma.kind === "file" || vma.kind === "shared-file";
  const prot = vma.prot.slice(0, 3);
  const append = (piece: { address: Address; end: Address; offset: number; fileBytes: number }) => {
    const { address, end, fileBytes } = piece;
    if (end === address) return;
    const memoryBytes = Number(end - address);
    segments.push({ kind: "load", prot, offset: piece.offset, address, fileBytes, memoryBytes });
  };
  append({
    address: vma.start,
    end: blocks[0]?.address ?? vma.end,
    offset: blocks[0]?.fileOffset ?? offset,
    fileBytes: 0,
  });
  for (const [index, block] of blocks.entries()) {
    const blockEnd = block.address + BigInt(block.lengthBytes);
    const gapEnd = blocks[index + 1]?.address ?? vma.end;
    const end = isFile ? blockEnd : gapEnd;
    append({ address: block.address, end, offset: block.fileOffset, fileBytes: block.lengthBytes });
    if (isFile)
      append({ address: blockEnd, end: gapEnd, offset: block.fileOffset + block.lengthBytes, fileBytes: 0 });
  }
}
