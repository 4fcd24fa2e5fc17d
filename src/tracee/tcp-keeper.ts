/**
 * The process that keeps hold of TCP connections in cr's place (native/hold/cr-hold.c): should cr be killed, it puts
 * everything back; after the program has been killed it holds packets until the restore. It is spoken to in letters,
 * each answered at once, because nothing may be awaited in the stop.
 */
import { closeSync, readSync, writeSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { startOnLine } from "./on-line.js";
import { ownCall, tryOwnCall } from "./own-call.js";

const KEEPER = fileURLToPath(new URL("../../native/hold/cr-hold", import.meta.url));
const AF_UNIX = 1;
const SOCK_STREAM_CLOEXEC = 1 | 0o2000000;
const ANSWER_BYTES = 256;

/** A descriptor of a process. */
export interface Held {
  readonly pid: number;
  readonly fd: number;
}

export interface Keeping {
  /** How long packets are held once the program is gone, in ms. */
  readonly holdMs: number;
  /** Under which it is found by the restore. */
  readonly name: string;
  /** Connections whose packets are held, and those that are only looked at. */
  readonly hold: readonly Held[];
  readonly look: readonly Held[];
  /** Processes that must not run while sockets of theirs are in repair mode. */
  readonly stop: readonly number[];
}

/** It could not do what it was told, and has put everything back. */
export class KeeperFailed extends Error {
  constructor(what: string) {
    super(what);
    this.name = "KeeperFailed";
  }
}

export class TcpKeeper {
  readonly #line: number;
  #open = true;

  private constructor(line: number) {
    this.#line = line;
  }

  /** Starts it; from here on packets of the held connections are dropped. Throws `KeeperFailed`. */
  static start({ holdMs, name, hold, look, stop }: Keeping): TcpKeeper {
    const what = [
      ...hold.map(({ pid, fd }) => `hold:${pid}:${fd}`),
      ...look.map(({ pid, fd }) => `look:${pid}:${fd}`),
      ...stop.map((pid) => `stop:${pid}:0`),
    ];
    const keeper = new TcpKeeper(startOnLine(KEEPER, [String(holdMs), name, ...what]).line);
    try {
      keeper.#expect("h");
      return keeper;
    } catch (error) {
      keeper[Symbol.dispose]();
      throw error;
    }
  }

  #tell(letter: string): void {
    writeSync(this.#line, letter);
    this.#expect(letter);
  }

  #expect(letter: string): void {
    const answer = Buffer.alloc(ANSWER_BYTES);
    const got = readSync(this.#line, answer, 0, ANSWER_BYTES, null);
    const text = answer.toString("utf8", 0, got);
    if (text === letter) return;
    throw new KeeperFailed(text.replace(/^error /, "").trim() || "the keeper of connections ended");
  }

  /** All its sockets into repair mode. Throws `KeeperFailed`, with everything put back. */
  enterRepair(): void {
    this.#tell("R");
  }

  /** Out of repair mode: the processes may run, but for the SIGSTOP that waits for each. */
  leaveRepair(): void {
    this.#tell("O");
  }

  /** The SIGSTOPs have been taken back. */
  stopsTakenBack(): void {
    this.#tell("L");
  }

  /** The processes are to be killed: should cr die now, it is waited for their end. */
  killing(): void {
    this.#tell("K");
  }

  /** They are gone: it closes the sockets in silence and holds packets on its own. */
  commit(): void {
    this.#tell("C");
    this[Symbol.dispose]();
  }

  /** Before `commit`: everything is put back. */
  [Symbol.dispose](): void {
    if (this.#open) closeSync(this.#line);
    this.#open = false;
  }
}

/** Tells the keeper of this name to let packets through; false when there is none any more in this network namespace. */
export function releaseHeld(name: string): boolean {
  const address = Buffer.concat([Buffer.from([AF_UNIX, 0, 0]), Buffer.from(name)]);
  const fd = ownCall("socket", AF_UNIX, SOCK_STREAM_CLOEXEC, 0);
  try {
    if (tryOwnCall("connect", fd, address, address.length) < 0) return false;
    // It ends without a word when it has let go.
    tryOwnCall("recvfrom", fd, Buffer.alloc(1), 1, 0, 0, 0);
    return true;
  } finally {
    closeSync(fd);
  }
}

/** Whether there is one. */
export function isHeld(name: string): boolean {
  const address = Buffer.concat([Buffer.from([AF_UNIX, 0, 0]), Buffer.from(name)]);
  const fd = ownCall("socket", AF_UNIX, SOCK_STREAM_CLOEXEC, 0);
  try {
    // The name is taken: another socket cannot have it.
    return tryOwnCall("bind", fd, address, address.length) < 0;
  } finally {
    closeSync(fd);
  }
}
