/** Where a sparse file has data: lseek(2) with SEEK_DATA and SEEK_HOLE, in one native call per 4096 spans. */
import { RUN_BYTES_MAX } from "../state/address.js";
import { call } from "./native.js";

const SPAN_BYTES = 24;
const SPANS_PER_CALL = 4096;

/** A span of a file that is not a hole. */
export interface DataSpan {
  readonly fileOffset: number;
  readonly lengthBytes: number;
}

/** Spans with data in [start, end) of an open file, in order. Moves the descriptor's offset. */
export function dataSpans(fd: number, start: number, end: number): DataSpan[] {
  const spans: DataSpan[] = [];
  const out = Buffer.alloc(SPANS_PER_CALL * SPAN_BYTES);
  const next = Buffer.alloc(8);
  for (let at = start; at < end; at = Number(next.readBigInt64LE())) {
    const count = call("cr_data_spans", fd, at, end, out, out.length, next);
    for (let index = 0; index < count; index += 1) {
      spans.push({
        lengthBytes: Number(out.readBigUInt64LE(index * SPAN_BYTES + 8)),
        fileOffset: Number(out.readBigUInt64LE(index * SPAN_BYTES + 16)),
      });
    }
    if (Number(next.readBigInt64LE()) <= at) break;
  }
  return spans;
}

/** The same in pieces of at most RUN_BYTES_MAX, as bulk work wants them. */
export function dataPieces(fd: number, start: number, end: number): DataSpan[] {
  return dataSpans(fd, start, end).flatMap(({ fileOffset, lengthBytes }) =>
    Array.from({ length: Math.ceil(lengthBytes / RUN_BYTES_MAX) }, (_, index) => ({
      fileOffset: fileOffset + index * RUN_BYTES_MAX,
      lengthBytes: Math.min(RUN_BYTES_MAX, lengthBytes - index * RUN_BYTES_MAX),
    })),
  );
}
