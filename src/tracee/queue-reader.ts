/**
 * What waits in sockets, all messages of it and the descriptors in them: read by a process of ours (native/peek/cr-peek.c),
 * because what leads past the first message is state of the socket, which must be put back even if cr is killed. It is
 * spoken to in letters, each answered at once, because nothing may be awaited in the stop.
 */
import { spawn } from "node:child_process";
import { closeSync, readSync, writeSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { errnoName } from "./native.js";
import { ownCall } from "./own-call.js";
import type { Held } from "./tcp-keeper.js";

const READER = fileURLToPath(new URL("../../native/peek/cr-peek", import.meta.url));
const AF_UNIX = 1;
const SOCK_STREAM_CLOEXEC = 1 | 0o2000000;
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

  private constructor(line: number, pid: number) {
    this.#line = line;
    this.pid = pid;
  }

  /** Starts it; `stop` are processes that must not run while it reads. Throws `ReaderFailed`. */
  static start(sockets: readonly Held[], stop: readonly number[]): QueueReader {
    const ends = Buffer.alloc(8);
    ownCall("socketpair", AF_UNIX, SOCK_STREAM_CLOEXEC, 0, ends);
    const [own, its] = [ends.readInt32LE(0), ends.readInt32LE(4)];
    const what = [
      ...sockets.map(({ pid, fd }) => `queue:${pid}:${fd}`),
      ...stop.map((pid) => `stop:${pid}:0`),
    ];
    let pid = 0;
    try {
      const child = spawn(READER, what, {
        cwd: "/",
        detached: true,
        stdio: [its, "ignore", "ignore"],
      });
      // That it could not be started is told by the end of its line.
      child.on("error", () => {});
      child.unref();
      pid = child.pid ?? 0;
    } finally {
      closeSync(its);
    }
    const reader = new QueueReader(own, pid);
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
