/**
 * The process that brings a program's memory while it runs (native/lazy/cr-lazy.c): started with the program's
 * userfaultfd and the cores, told which runs of which core belong where, and on its own from then on. It outlives cr.
 */
import { closeSync, readdirSync, readFileSync, readlinkSync, readSync } from "node:fs";
import { fileURLToPath } from "node:url";
import type { PageSource } from "../state/frame.js";
import type { PageRun } from "../state/pages.js";
import { encodeSource, FRAME_LAYOUT } from "./frames.js";
import { startQuickly } from "./on-line.js";
import { tryOwnCall } from "./own-call.js";

const SERVER = fileURLToPath(new URL("../../native/lazy/cr-lazy", import.meta.url));
const MSG_DONTWAIT = 0x40;
const SHUT_RD = 0;
/** More than it ever tells (TEXT_MAX of native/lazy/lazy.h). */
const ANSWER_BYTES = 8192;
/** `struct lazy_head` and `lazy_run` of native/lazy/lazy.h. */
const MAGIC = 0x797a_616c_6572_6f63n;
const HEAD_BYTES = 32;
const RUN_WORDS = 8;
const WORD = 2 ** 32;

/** Files that it can be given (SOURCES_MAX of native/lazy/lazy.h). */
export const SOURCES_MAX = 16;

/** A core, and what belongs into the program out of it. */
export interface Served {
  readonly source: PageSource;
  readonly runs: readonly PageRun[];
  /** What the core is called where it is not the one that is restored; else empty. */
  readonly name: string;
}

export interface Serving {
  /** Mappings whose memory is brought on demand, whole; every one is private and anonymous. */
  readonly areas: readonly { readonly start: bigint; readonly end: bigint }[];
  /** What belongs into them: no page twice. At least one and at most SOURCES_MAX. */
  readonly served: readonly Served[];
  /** Name of the core, beside which it is told what went wrong when cr is gone. */
  readonly corePath: string;
  /** A FIFO that lets single pieces of the background fill through, for tests; empty for none. */
  readonly pace: string;
}

/** Why it could not begin, or had to end the program: a code of the error table, and what is wrong. */
export interface ServerTrouble {
  readonly code: string;
  readonly what: string;
}

export class PageServer {
  readonly #line: number;
  #open = true;

  private constructor(line: number) {
    this.#line = line;
  }

  /**
   * Starts it for a newborn whose userfaultfd (of the newborn's own memory, not initialised yet) cr holds. When this
   * returns it serves; where it cannot, `trouble` says why.
   */
  static start(pid: number, uffd: number, serving: Serving): PageServer {
    const line = startQuickly(SERVER, String(pid), [uffd, ...serving.served.map(({ source }) => source.fd)]);
    const server = new PageServer(line);
    server.#tell(encodePlan(serving));
    return server;
  }

  #tell(plan: Buffer): void {
    for (let at = 0; at < plan.length; ) {
      const sent = tryOwnCall("sendto", this.#line, plan.subarray(at), plan.length - at, MSG_NOSIGNAL, 0, 0);
      if (sent < 0) return;
      at += sent;
    }
  }

  /** Waits until it serves; what hindered it, null when nothing did. */
  awaitReady(): ServerTrouble | null {
    const answer = Buffer.alloc(1);
    const got = readSync(this.#line, answer, 0, 1, null);
    if (got === 1 && answer.toString("latin1") === "r") return null;
    const rest = Buffer.alloc(ANSWER_BYTES);
    const more = got === 0 ? 0 : readSync(this.#line, rest, 0, ANSWER_BYTES, null);
    return parseTrouble(answer.toString("latin1", 0, got) + rest.toString("latin1", 0, more)) ?? lost();
  }

  /** The program is on its way: what it has not touched is brought, too, from now on. So it is when cr is gone. */
  letFill(): void {
    if (this.#open) tryOwnCall("sendto", this.#line, Buffer.from("g"), 1, MSG_NOSIGNAL, 0, 0);
  }

  /** Why it has ended the program; null when it has not. Told before the program is killed. */
  trouble(): ServerTrouble | null {
    if (!this.#open) return null;
    const text = Buffer.alloc(ANSWER_BYTES);
    const got = tryOwnCall("recvfrom", this.#line, text, ANSWER_BYTES, MSG_DONTWAIT, 0, 0);
    return got > 0 ? parseTrouble(text.toString("latin1", 0, got)) : null;
  }

  /** From here on it tells trouble beside the core; `trouble` gives what it has told before. */
  tellBeside(): void {
    if (this.#open) tryOwnCall("shutdown", this.#line, SHUT_RD);
  }

  [Symbol.dispose](): void {
    if (this.#open) closeSync(this.#line);
    this.#open = false;
  }
}

const MSG_NOSIGNAL = 0x4000;

function lost(): ServerTrouble {
  return { code: "RESTORE_FAILED", what: "its page server (cr-lazy) could not be started" };
}

/** `error CODE WHAT`. */
function parseTrouble(text: string): ServerTrouble | null {
  const [, code, what] = text.match(/^error ([A-Z_]+) (.*)$/m) ?? [];
  return code === undefined || what === undefined ? null : { code, what };
}

function encodePlan({ areas, served, corePath, pace }: Serving): Buffer {
  const names = [Buffer.from(corePath), Buffer.from(pace)] as const;
  const runs = packRuns(served);
  const sources = served.map(({ source, name }) => ({
    frames: encodeSource(source.frames),
    // It is told in one line.
    name: Buffer.from(name.replace(/\p{Cc}/gu, "?")),
  }));
  const head = Buffer.alloc(HEAD_BYTES);
  head.writeBigUInt64LE(MAGIC);
  const counts = [areas.length, runs.length / RUN_WORDS, served.length, ...names.map((n) => n.length)];
  counts.forEach((count, index) => {
    head.writeUInt32LE(count, 8 + index * 4);
  });
  const packedAreas = BigUint64Array.from(areas.flatMap(({ start, end }) => [start, end]));
  const heads = Uint32Array.from(
    sources.flatMap(({ frames, name }) => [frames.length / FRAME_LAYOUT.bytes, name.length]),
  );
  const bodies = sources.flatMap(({ frames, name }) => [frames, name]);
  return Buffer.concat([head, bytesOf(packedAreas), bytesOf(runs), bytesOf(heads), ...names, ...bodies]);
}

/** A row is written for every run, of which a delta has ten thousands: by numbers, whose upper halves are cut off. */
function packRuns(served: readonly Served[]): Uint32Array {
  const words = new Uint32Array(served.reduce((sum, { runs }) => sum + runs.length, 0) * RUN_WORDS);
  let at = 0;
  for (const [index, { runs }] of served.entries()) {
    for (const { address, lengthBytes, fileOffset, crc32c } of runs) {
      const place = Number(address);
      words[at] = place;
      words[at + 1] = place / WORD;
      words[at + 2] = lengthBytes;
      words[at + 3] = lengthBytes / WORD;
      words[at + 4] = fileOffset;
      words[at + 5] = fileOffset / WORD;
      words[at + 6] = crc32c;
      words[at + 7] = index;
      at += RUN_WORDS;
    }
  }
  return words;
}

function bytesOf({ buffer, byteOffset, byteLength }: BigUint64Array | Uint32Array): Buffer {
  return Buffer.from(buffer, byteOffset, byteLength);
}

/** The process that still brings the memory of process `pid`, or of an ancestor it was forked from; null when none does. */
export function pageServerOf(pid: number): number | null {
  const wanted = new Set(ancestors(pid).map(String));
  for (const name of readdirSync("/proc")) {
    if (!/^\d+$/.test(name)) continue;
    const served = servedBy(name);
    if (served !== null && wanted.has(served)) return Number(name);
  }
  return null;
}

function servedBy(name: string): string | null {
  try {
    if (!readlinkSync(`/proc/${name}/exe`).endsWith("/cr-lazy")) return null;
    return readFileSync(`/proc/${name}/cmdline`, "utf8").split("\0")[1] ?? null;
  } catch {
    return null;
  }
}

function ancestors(pid: number): number[] {
  const found: number[] = [];
  for (let at = pid; at > 1 && found.length < 64; ) {
    found.push(at);
    at = parentOf(at);
  }
  return found;
}

function parentOf(pid: number): number {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, "utf8");
    return Number(text.slice(text.lastIndexOf(")") + 2).split(" ")[1]);
  } catch {
    return 0;
  }
}
