/** Where the pages of a process stand in its earlier cores, as of its last checkpoint: what a delta inherits from. */
import { PAGE_BYTES, RUN_BYTES_MAX } from "../state/address.js";
import type { InheritedRun } from "../state/delta.js";
import { joinChecksums } from "../state/page-checksums.js";
import type { Span } from "../tracee/range-list.js";
import { type BasePiece, CopyGap } from "./copied-memory.js";

export class PageBase {
  /** In order of address. */
  readonly pieces: readonly BasePiece[];

  /** Pieces in any order, none of which overlap. */
  constructor(pieces: readonly BasePiece[]) {
    this.pieces = joined([...pieces].sort((a, b) => a.start - b.start));
  }

  /** The same without the pages of these spans, which are in order and apart. */
  without(spans: readonly Span[]): PageBase {
    let next = 0;
    const left = this.pieces.flatMap((piece) => {
      const parts: BasePiece[] = [];
      let at = piece.start;
      while ((spans[next]?.end ?? Number.POSITIVE_INFINITY) <= piece.start) next += 1;
      for (let index = next; at < piece.end; index += 1) {
        const start = Math.min(spans[index]?.start ?? piece.end, piece.end);
        if (start > at) parts.push(cut(piece, at, start));
        at = Math.max(at, spans[index]?.end ?? piece.end);
      }
      return parts;
    });
    return new PageBase(left);
  }

  /** The places of a span's pages, all of which must have one: CopyGap else. */
  within({ start, end }: Span): BasePiece[] {
    const found: BasePiece[] = [];
    let at = start;
    for (let index = this.#firstBehind(start); at < end; index += 1) {
      const piece = this.pieces[index];
      if (piece === undefined || piece.start > at) {
        throw new CopyGap(
          `the page at 0x${at.toString(16)} is in no core and was not written since the last`,
        );
      }
      const part = cut(piece, at, Math.min(end, piece.end));
      found.push(part);
      at = part.end;
    }
    return found;
  }

  /** Number of the first piece that ends behind the address. */
  #firstBehind(address: number): number {
    let low = 0;
    for (let high = this.pieces.length; low < high; ) {
      const middle = (low + high) >> 1;
      if ((this.pieces[middle] as BasePiece).end <= address) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

function cut(piece: BasePiece, start: number, end: number): BasePiece {
  const first = (start - piece.start) / PAGE_BYTES;
  return {
    start,
    end,
    level: piece.level,
    fileOffset: piece.fileOffset + start - piece.start,
    checksums: piece.checksums.subarray(first, first + (end - start) / PAGE_BYTES),
  };
}

/** Pieces that were one before, put together again: each delta would cut them further. */
function joined(pieces: readonly BasePiece[]): BasePiece[] {
  const whole: BasePiece[] = [];
  for (const piece of pieces) {
    const last = whole.at(-1);
    if (last !== undefined && follows(last, piece)) {
      const { buffer, byteOffset, length } = last.checksums;
      const checksums = new Uint32Array(buffer, byteOffset, length + piece.checksums.length);
      whole[whole.length - 1] = { ...last, end: piece.end, checksums };
    } else whole.push(piece);
  }
  return whole;
}

function follows(last: BasePiece, next: BasePiece): boolean {
  const isNext =
    last.level === next.level &&
    last.end === next.start &&
    last.fileOffset + last.end - last.start === next.fileOffset;
  const { buffer, byteOffset, byteLength } = last.checksums;
  return isNext && buffer === next.checksums.buffer && byteOffset + byteLength === next.checksums.byteOffset;
}

/** Pieces as a core tells them; `levels` is how many cores the chain has, the parent last. */
export function inheritedRuns(pieces: readonly BasePiece[], levels: number): InheritedRun[] {
  return pieces.flatMap((piece) => {
    const runs: InheritedRun[] = [];
    for (let at = piece.start; at < piece.end; at += RUN_BYTES_MAX) {
      const part = cut(piece, at, Math.min(at + RUN_BYTES_MAX, piece.end));
      runs.push({
        address: BigInt(at),
        lengthBytes: part.end - at,
        ancestor: levels - 1 - piece.level,
        fileOffset: part.fileOffset,
        crc32c: joinChecksums(part.checksums),
      });
    }
    return runs;
  });
}
