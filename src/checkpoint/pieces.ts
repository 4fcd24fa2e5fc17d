/** The memory of a process in pieces, for rounds that protect each right before they copy it: pure. */
import { USER_END } from "../state/address.js";
import type { Vma } from "../state/vma.js";
import { type Span, spanBytes } from "../tracee/range-list.js";
import { clip } from "./spans.js";

/** How much is protected at once, in bytes: what is written to it before it is copied has to be copied again. */
const PIECE_BYTES = 128 << 20;
/** Of memory of which little is copied, so many pieces at most, and how much they are at least, in bytes. */
const PARTS = 4;
const PART_BYTES_MIN = 256 << 20;
/** What the kernel joins by itself (Documentation/admin-guide/mm/transhuge.rst). */
const HUGE_BYTES = 2 << 20;

/** A part of the address space, and the spans that lie in it. */
export interface Piece {
  readonly within: Span;
  readonly spans: readonly Span[];
}

/**
 * Spans in order, cut into pieces of about so many bytes at multiples of `alignBytes` alone: no huge page is taken apart.
 * The pieces touch, and are all of the address space.
 */
export function cut(
  spans: readonly Span[],
  { pieceBytes, alignBytes }: { readonly pieceBytes: number; readonly alignBytes: number },
): Piece[] {
  const pieces: Piece[] = [];
  let [from, last, bytes] = [0, 0, 0];
  let inside: Span[] = [];
  const close = (end: number) => {
    pieces.push({ within: { start: from, end }, spans: inside });
    [from, bytes, inside] = [end, 0, []];
  };
  for (const { start, end } of spans) {
    for (let at = start; at < end; at = last) {
      const border = Math.floor(at / alignBytes) * alignBytes;
      if (bytes >= pieceBytes && border >= last) close(border);
      const full = at + Math.max(pieceBytes - bytes, 1);
      last = Math.min(end, Math.ceil(full / alignBytes) * alignBytes);
      inside.push({ start: at, end: last });
      bytes += last - at;
    }
  }
  close(Number(USER_END));
  return pieces;
}

/** Pages of these mappings, in order, in pieces to be copied one after the other. */
export function piecesOf(vmas: readonly Vma[], pages: readonly Span[]): Piece[] {
  return cut(pages, { pieceBytes: PIECE_BYTES, alignBytes: alignmentOf(vmas) });
}

/** All of the address space in pieces with about as much of `stood` in each; of `forced`, in order, what lies in them. */
export function piecesAmong(vmas: readonly Vma[], stood: readonly Span[], forced: readonly Span[]): Piece[] {
  const pieceBytes = Math.max(PART_BYTES_MIN, Math.ceil(spanBytes(stood) / PARTS));
  const pieces = cut(stood, { pieceBytes, alignBytes: alignmentOf(vmas) });
  return pieces.map(({ within }) => ({ within, spans: clip(forced, [within]) }));
}

function alignmentOf(vmas: readonly Vma[]): number {
  return Math.max(...vmas.map(({ hugePageBytes = HUGE_BYTES }) => hugePageBytes));
}
