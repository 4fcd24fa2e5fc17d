/**
 * What waits in sockets, all messages of it and the descriptors in them: read by a process of ours (native/peek/cr-peek.c),
 * because what leads past the first message is state of the socket, which must be put back even if cr is killed. It is
 * spoken to in letters, each answered at once, because nothing may be awaited in the stop.
 */
import { closeSync, readSync, writeSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { errnoName } from "./native.js";
import { type OnLine, startOnLine } from "./on-line.js";
import type { Held } from "./tcp-keeper.js";

const READER = fileURLToPath(new URL("../../native/peek/cr-peek", import.meta.url));
/** struct frame: index, error, lengths of name, of descriptors and of bytes. */
const FRAME_BYTES = 24;
const FD_BYTES = 4;
const LAST = -1;

/** A message, or bytes of a stream that descriptors came with, or those between. */
export interface Peeked {
  readonly bytes: Buffer;
  /** struct sockaddr of the sender in hexadecimal, empty without a name. */
  readonly from: string;
  /** Descriptors of the reader's, for those that are on their way. */
  readonly fds: readonly number[];
}

/** What waits in one socket, in order; an errno by name when it cannot be told. */
export type Queue = readonly Peeked[] | string;

/** It ended before it had told everything; it has put everything back. */
export class ReaderFailed extends Error {
  constructor(options?: ErrorOptions) {
    super("the reader of queues ended", options);
    this.name = "ReaderFailed";
  }
}

export class QueueReader {
  /** Whose descriptors `Peeked.fds` are. */
  readonly pid: number;
  readonly #line: number;
  #open = true;

  private constructor({ line, pid }: OnLine) {
    this.#line = line;
    this.pid = pid;
  }

  /** Starts it; `stop` are processes that must not run while it reads. Throws `ReaderFailed`. */
  static start(sockets: readonly Held[], stop: readonly number[]): QueueReader {
    const what = [
      ...sockets.map(({ pid, fd }) => `queue:${pid}:${fd}`),
      ...stop.map((pid) => `stop:${pid}:0`),
    ];
    const reader = new QueueReader(startOnLine(READER, what));
    try {
      reader.#expect("h");
      return reader;
    } catch (error) {
      reader[Symbol.dispose]();
      throw error;
    }
  }

  /** What waits in each of its sockets; a SIGSTOP waits for each process from here on. Throws `ReaderFailed`. */
  read(sockets: number): Queue[] {
    this.#tell("P");
    const queues: Queue[] = Array.from({ length: sockets }, () => []);
    for (;;) {
      const head = this.#exactly(FRAME_BYTES);
      const [index, error] = [head.readInt32LE(0), head.readInt32LE(4)];
      if (index === LAST) return queues;
      const name = this.#exactly(head.readUInt32LE(8));
      const passed = this.#exactly(head.readUInt32LE(12) * FD_BYTES);
      const bytes = this.#exactly(head.readUInt32LE(16));
      const known = queues[index];
      if (error !== 0) queues[index] = errnoName(error);
      else if (Array.isArray(known)) known.push({ bytes, from: name.toString("hex"), fds: numbers(passed) });
    }
  }

  /** The SIGSTOPs have been taken back. */
  stopsTakenBack(): void {
    this.#tell("L");
    this.#expect("L");
  }

  #tell(letter: string): void {
    try {
      writeSync(this.#line, letter);
    } catch (cause) {
      throw new ReaderFailed({ cause });
    }
  }

  #expect(letter: string): void {
    if (this.#exactly(1).toString() !== letter) throw new ReaderFailed();
  }

  #exactly(bytes: number): Buffer {
    const all = Buffer.alloc(bytes);
    for (let done = 0; done < bytes; ) {
      const got = readSync(this.#line, all, done, bytes - done, null);
      if (got === 0) throw new ReaderFailed();
      done += got;
    }
    return all;
  }

  /** It ends, with the descriptors that it was given; before `stopsTakenBack` the processes are let go first. */
  [Symbol.dispose](): void {
    if (this.#open) closeSync(this.#line);
    this.#open = false;
  }
}

function numbers(words: Buffer): number[] {
  return Array.from({ length: words.length / FD_BYTES }, (_, index) => words.readInt32LE(index * FD_BYTES));
}
