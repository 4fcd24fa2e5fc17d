/**
 * Receives a core that is streamed (core/stream.ts) into a file without a name, and proves it whole before anybody reads
 * it: a stream that was cut short or altered is never restored.
 */
import { closeSync, ftruncateSync, openSync, readSync } from "node:fs";
import {
  type DataRecord,
  decodeHeader,
  decodePreamble,
  PREAMBLE_BYTES,
  RECORD_HEADER_BYTES,
  STREAM_VERSION,
  sumHeader,
} from "../core/stream.js";
import { CrError, type ErrorCode, isErrno } from "../errors.js";
import { writeAll } from "../file-bytes.js";
import { nameOf } from "../host/own-descriptors.js";
import { RUN_BYTES_MAX } from "../state/address.js";
import { checksumsOf } from "../tracee/frames.js";
import { waitUntilReady } from "../tracee/ready.js";
import { openUnnamed, spoolFailed } from "../tracee/unnamed-file.js";

const STDIN = 0;
/** No file is larger than that (ext4: 16 TiB, xfs: 8 EiB on paper). */
const SIZE_MAX = 2 ** 50;
/** Records whose checksums are compared in one go. */
const RECORDS_AT_ONCE = 32;

export interface Received extends Disposable {
  /** The core, open in cr, and a path of it for this process and those that get the descriptor under its number. */
  readonly fd: number;
  readonly path: string;
}

/**
 * Reads a stream from standard input to its end, and leaves /dev/null there. Throws BAD_CORE for what is no stream,
 * FORMAT_VERSION, CORE_TRUNCATED, CORE_CORRUPT, OUTPUT_FAILED when there is no room for it.
 */
export function receiveCore(): Received {
  const fd = openUnnamed();
  try {
    receiveInto(fd);
    closeSync(STDIN);
    // The lowest number that is free.
    openSync("/dev/null", "r");
  } catch (error) {
    closeSync(fd);
    throw spoolFailed("keep the core that is received", error);
  }
  return { fd, path: nameOf(fd), [Symbol.dispose]: () => closeSync(fd) };
}

function receiveInto(fd: number): void {
  readPreamble();
  let headers = 0;
  let pending: DataRecord[] = [];
  const header = Buffer.alloc(RECORD_HEADER_BYTES);
  const buffer = Buffer.alloc(RUN_BYTES_MAX);
  for (let count = 1; ; count += 1) {
    readFully(header, `record ${count}`);
    const record = decodeHeader(header);
    if (record === null)
      throw refusal("CORE_CORRUPT", `the header of record ${count} does not match its checksum`);
    if (record.kind === "end") {
      compare(fd, pending);
      if (record.headersCrc32c !== headers || record.sizeBytes > SIZE_MAX) {
        throw refusal("CORE_CORRUPT", "its trailer is that of other records");
      }
      ftruncateSync(fd, record.sizeBytes);
      break;
    }
    const { fileOffset, lengthBytes } = record;
    if (lengthBytes > RUN_BYTES_MAX || fileOffset > SIZE_MAX) {
      throw refusal("CORE_CORRUPT", `record ${count} is for ${lengthBytes} bytes at ${fileOffset}`);
    }
    headers = sumHeader(header, headers);
    // What comes later wins, so earlier bytes are compared before that.
    const isBehind = pending.every((other) => other.fileOffset + other.lengthBytes <= fileOffset);
    if (!isBehind || pending.length === RECORDS_AT_ONCE) {
      compare(fd, pending);
      pending = [];
    }
    readFully(buffer.subarray(0, lengthBytes), `record ${count}`);
    writeAll(fd, buffer.subarray(0, lengthBytes), fileOffset);
    if (lengthBytes > 0) pending.push(record);
  }
  if (readSome(header, 0) > 0) throw refusal("CORE_CORRUPT", "something follows its trailer");
}

function readPreamble(): void {
  const preamble = Buffer.alloc(PREAMBLE_BYTES);
  readFully(preamble, "its beginning");
  const version = decodePreamble(preamble);
  if (version === null) {
    throw refusal(
      "BAD_CORE",
      "it does not begin as a stream of cr checkpoint -o - does",
      "name a core file, or send it so",
    );
  }
  if (version === STREAM_VERSION) return;
  const what = `it is a stream of version ${version}, this one reads version ${STREAM_VERSION}`;
  throw refusal("FORMAT_VERSION", what, "use the version of Recore that sent it, or a newer one");
}

function compare(fd: number, records: readonly DataRecord[]): void {
  const sums = checksumsOf({ path: "-", fd, frames: null }, records);
  const wrong = records.find((record, index) => record.crc32c !== sums[index]);
  if (wrong === undefined) return;
  throw refusal("CORE_CORRUPT", `the bytes for file offset ${wrong.fileOffset} do not match their checksum`);
}

function readFully(bytes: Buffer, what: string): void {
  for (let done = 0; done < bytes.length; ) {
    const got = readSome(bytes, done);
    if (got === 0) throw refusal("CORE_TRUNCATED", `the stream ends in ${what}, before its trailer`);
    done += got;
  }
}

function readSome(bytes: Buffer, from: number): number {
  for (;;) {
    try {
      return readSync(STDIN, bytes, from, bytes.length - from, null);
    } catch (error) {
      if (isErrno(error, "EOF")) return 0;
      // Whoever made the pipe may have set O_NONBLOCK.
      if (!isErrno(error, "EAGAIN")) throw error;
      waitUntilReady(STDIN, "readable");
    }
  }
}

function refusal(
  code: ErrorCode,
  what: string,
  hint = "send it again: cr checkpoint -o - | cr restore -",
): CrError {
  return new CrError(code, `read core from standard input: ${what}`, { hint });
}
