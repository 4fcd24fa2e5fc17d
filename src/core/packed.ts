/**
 * Opens the compressed form of a core: proves what stands beside the frames, and shows the plain core as it was, so that
 * nothing else has to know. Taking frames apart is the caller's, who has the native library (`Unpack`).
 */
import { CrError } from "../errors.js";
import { PAGE_BYTES } from "../state/address.js";
import { FRAME_BYTES_MAX, type Frame, type FramesNote, type PageSource } from "../state/frame.js";
import { type ByteSource, badCore, requireBytes } from "./byte-source.js";
import { crc32c } from "./crc32c.js";
import { ELF_HEADER_BYTES } from "./elf.js";
import { DATA_OFFSET } from "./layout.js";
import type { PlacedNote } from "./note.js";
import { decodeFramesNote } from "./recore-decode.js";
import { FRAMES_NOTE, NO_CHECKSUM, RECORE_OWNER } from "./recore-notes.js";
import { checksumDigits } from "./writer.js";

const CHUNK_BYTES = 1 << 20;
/** What cannot be compressed grows a little (CR_FRAME_MAX of native/cr.h). */
const PACKED_BYTES_MAX = FRAME_BYTES_MAX + FRAME_BYTES_MAX / 128;

/** A part of the plain core. */
export interface PlainRange {
  readonly fileOffset: number;
  readonly lengthBytes: number;
}

/** A plain file without a name, with the data of a core as far as it was asked for. */
export interface PlainData {
  readonly fd: number;
  /** Puts these ranges into the file. CORE_CORRUPT for damaged frames, CORE_TRUNCATED. */
  need(ranges: readonly PlainRange[]): void;
  close(): void;
}

/** Makes it for a compressed core whose data ends at `endOffset`. */
export type Unpack = (source: PageSource, endOffset: number) => PlainData;

export interface PackedCore {
  readonly frames: readonly Frame[];
  /** End of the data of the plain core. */
  readonly tailOffset: number;
  /** The plain core; `data` reads what is inside frames. */
  plain(data: (range: PlainRange) => Buffer): ByteSource;
}

/** Null for a plain core. Throws BAD_CORE, CORE_CORRUPT, FORMAT_VERSION. */
export function openPacked(source: ByteSource, notes: readonly PlacedNote[]): PackedCore | null {
  const note = notes.find(({ owner, type }) => owner === RECORE_OWNER && type === FRAMES_NOTE);
  if (note === undefined) return null;
  const body = decodeFramesNote(note, source.path);
  const { frames, tailOffset } = body;
  checkShape(source, body);
  checkOwnChecksum(source, note, body);
  return { frames, tailOffset, plain: (data) => plainSource(source, body, data) };
}

function checkShape(source: ByteSource, { frames, tailOffset, tailAt, sizeBytes, header }: FramesNote): void {
  const refuse = (what: string): never => {
    throw badCore(source.path, what);
  };
  let plainEnd = DATA_OFFSET;
  for (const { plainOffset, plainBytes, lengthBytes, crc32c: sum } of frames) {
    const name = `the frame of the bytes from ${plainOffset} on`;
    if (plainOffset < plainEnd) refuse(`${name} overlaps the one before it or is out of order`);
    if (plainBytes <= 0 || plainBytes > FRAME_BYTES_MAX) refuse(`${name} is for ${plainBytes} bytes`);
    if (lengthBytes <= 0 || lengthBytes > PACKED_BYTES_MAX || sum < 0 || sum > 0xffff_ffff)
      refuse(`${name} makes no sense`);
    plainEnd = plainOffset + plainBytes;
  }
  let end = DATA_OFFSET;
  for (const { fileOffset, lengthBytes } of [...frames].sort((a, b) => a.fileOffset - b.fileOffset)) {
    if (fileOffset !== end) refuse(`a frame stands at ${fileOffset}, ${end} is required`);
    end = fileOffset + lengthBytes;
  }
  if (plainEnd > tailOffset) refuse(`its frames end at ${plainEnd}, behind its notes at ${tailOffset}`);
  const isPlaced = end <= tailAt && tailOffset < sizeBytes && tailOffset % PAGE_BYTES === 0;
  if (!isPlaced) refuse(`its notes stand at ${tailAt} for ${tailOffset}, its frames end at ${end}`);
  if (Buffer.from(header, "base64").length !== ELF_HEADER_BYTES) refuse("it holds no plain ELF header");
  requireBytes(source, { offset: tailAt, lengthBytes: sizeBytes - tailOffset, what: "its notes" });
}

/** Where the frames end; from there on one checksum covers everything. */
function framesEnd(frames: readonly Frame[]): number {
  return frames.reduce(
    (end, { fileOffset, lengthBytes }) => Math.max(end, fileOffset + lengthBytes),
    DATA_OFFSET,
  );
}

function checkOwnChecksum(source: ByteSource, note: PlacedNote, body: FramesNote): void {
  const digitsAt = note.descOffset + note.desc.indexOf(`"crc32c":"${body.crc32c}"`) + '"crc32c":"'.length;
  let crc = crc32c(source.read(0, PAGE_BYTES));
  for (let at = framesEnd(body.frames); at < source.sizeBytes; at += CHUNK_BYTES) {
    const bytes = source.read(at, Math.min(CHUNK_BYTES, source.sizeBytes - at));
    for (let index = 0; index < NO_CHECKSUM.length; index += 1) {
      const place = digitsAt + index - at;
      if (place >= 0 && place < bytes.length) bytes.write("0", place, "latin1");
    }
    crc = crc32c(bytes, crc);
  }
  if (checksumDigits(crc) === body.crc32c) return;
  throw new CrError(
    "CORE_CORRUPT",
    `read core ${source.path}: the checksum beside its frames is ${checksumDigits(crc)}, ${body.crc32c} is required`,
    {
      hint: "use an older checkpoint; this one was altered or its disk failed",
      data: { path: source.path, where: "headers" },
    },
  );
}

function plainSource(source: ByteSource, body: FramesNote, data: (range: PlainRange) => Buffer): ByteSource {
  const { path } = source;
  const { sizeBytes, tailOffset, tailAt } = body;
  const first = Buffer.alloc(PAGE_BYTES);
  Buffer.from(body.header, "base64").copy(first);
  return {
    path,
    sizeBytes,
    read(offset, lengthBytes) {
      requireBytes({ path, sizeBytes }, { offset, lengthBytes, what: "what its headers promise" });
      const end = offset + lengthBytes;
      const parts: Buffer[] = [];
      if (offset < PAGE_BYTES) parts.push(Buffer.from(first.subarray(offset, end)));
      const from = Math.max(offset, PAGE_BYTES);
      const to = Math.min(end, tailOffset);
      if (to > from) parts.push(data({ fileOffset: from, lengthBytes: to - from }));
      const tailFrom = Math.max(offset, tailOffset);
      if (end > tailFrom) parts.push(source.read(tailAt + tailFrom - tailOffset, end - tailFrom));
      return parts.length === 1 && parts[0] ? parts[0] : Buffer.concat(parts);
    },
  };
}
