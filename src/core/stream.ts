/**
 * A core on a wire, for those who cannot seek: records of bytes and their places in the file, the last one for a place
 * wins. Integers are little-endian.
 *
 *   preamble   "RECORE\0\0" | version 4 | zero 4
 *   record     type 4 | length 4 | offset 8 | CRC32C of the bytes 4 | CRC32C of the twenty before 4 | bytes
 *   trailer    such a header of type 2: length 0, offset the size of the file, CRC32C of the first twenty bytes of all
 *              record headers before it, one behind the other
 */
import { crc32c } from "./crc32c.js";

const MAGIC = Buffer.from("RECORE\0\0", "latin1");
export const STREAM_VERSION = 1;
export const PREAMBLE_BYTES = 16;
export const RECORD_HEADER_BYTES = 24;
const DATA = 1;
const END = 2;

/** The part of a header before its own checksum; whatever it is, a checksum that goes on over both is always the same. */
const SUMMED_BYTES = 20;

export interface DataRecord {
  readonly fileOffset: number;
  readonly lengthBytes: number;
  readonly crc32c: number;
}

export type StreamRecord =
  | ({ readonly kind: "data" } & DataRecord)
  | { readonly kind: "end"; readonly sizeBytes: number; readonly headersCrc32c: number };

/** CRC32C of the headers so far with one more of them: what the trailer says of all. */
export function sumHeader(header: Buffer, before: number): number {
  return crc32c(header.subarray(0, SUMMED_BYTES), before);
}

/** Makes the headers of a stream in their order. */
export class StreamEncoder {
  #headers = 0;

  preamble(): Buffer {
    const bytes = Buffer.alloc(PREAMBLE_BYTES);
    MAGIC.copy(bytes);
    bytes.writeUInt32LE(STREAM_VERSION, MAGIC.length);
    return bytes;
  }

  /** The header of a record, whose bytes follow. */
  data({ fileOffset, lengthBytes, crc32c: sum }: DataRecord): Buffer {
    const header = encodeHeader([DATA, lengthBytes, fileOffset, sum]);
    this.#headers = sumHeader(header, this.#headers);
    return header;
  }

  /** The trailer of a file of `sizeBytes`. */
  end(sizeBytes: number): Buffer {
    return encodeHeader([END, 0, sizeBytes, this.#headers]);
  }
}

/** The version of a stream; null when the bytes begin none. */
export function decodePreamble(bytes: Buffer): number | null {
  return bytes.subarray(0, MAGIC.length).equals(MAGIC) ? bytes.readUInt32LE(MAGIC.length) : null;
}

/** A record's header; null when it is not as it was written. */
export function decodeHeader(bytes: Buffer): StreamRecord | null {
  if (crc32c(bytes.subarray(0, SUMMED_BYTES)) !== bytes.readUInt32LE(20)) return null;
  const [type, lengthBytes] = [bytes.readUInt32LE(0), bytes.readUInt32LE(4)];
  const [offset, sum] = [Number(bytes.readBigUInt64LE(8)), bytes.readUInt32LE(16)];
  if (type === DATA) return { kind: "data", fileOffset: offset, lengthBytes, crc32c: sum };
  return type === END ? { kind: "end", sizeBytes: offset, headersCrc32c: sum } : null;
}

function encodeHeader([type, lengthBytes, offset, sum]: readonly [number, number, number, number]): Buffer {
  const bytes = Buffer.alloc(RECORD_HEADER_BYTES);
  bytes.writeUInt32LE(type, 0);
  bytes.writeUInt32LE(lengthBytes, 4);
  bytes.writeBigUInt64LE(BigInt(offset), 8);
  bytes.writeUInt32LE(sum, 16);
  bytes.writeUInt32LE(crc32c(bytes.subarray(0, SUMMED_BYTES)), 20);
  return bytes;
}
