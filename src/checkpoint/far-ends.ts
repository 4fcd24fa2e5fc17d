/**
 * Whether pipes and sockets of a process or a tree lead out of it: who else holds them. Searching all processes takes
 * milliseconds, so what was found before the stop is remembered; a holder that comes later must be a child or be given
 * the descriptor by the program itself.
 */
import { describeFarEnd, type Holder, holdersOf, holds } from "../host/descriptor-holders.js";
import { processStatus } from "../host/process-status.js";
import type { TcpPolicy } from "../state/tcp.js";

/** Peers of connections beyond these are named by their addresses only: each is a search of milliseconds. */
const DESCRIBED_MAX = 16;

export class FarEnds {
  /** What becomes of TCP connections that lead out. */
  readonly tcp: TcpPolicy;
  readonly #known = new Map<string, Holder | null>();
  readonly #described = new Map<string, string | null>();
  #insiders: ReadonlySet<number> = new Set();

  constructor(tcp: TcpPolicy = "refuse") {
    this.tcp = tcp;
  }

  /** Another holder of each of these links (of /proc/PID/fd) than `pids`. */
  look(pids: readonly number[], links: readonly string[]): void {
    const insiders = new Set(pids);
    // Who left the tree since the last look may hold anything of it.
    if ([...this.#insiders].some((pid) => !insiders.has(pid))) this.#known.clear();
    this.#insiders = insiders;
    const unknown = new Set(links.filter((link) => !this.#isKnown(link)));
    const found = holdersOf(unknown, [...pids, process.pid]);
    for (const link of unknown) {
      const holder = found.get(link) ?? null;
      // A child that was not there when the tree was looked at: looked for again in the stop.
      if (holder !== null && this.#isPassing(holder.pid)) this.#known.delete(link);
      else this.#known.set(link, holder);
    }
  }

  /** A descendant of the tree that is not listed in it yet, or one that has ended by now. */
  #isPassing(pid: number): boolean {
    let status = processStatus(pid);
    if (status === undefined || status.state === "Z") return true;
    while (status !== undefined && status.ppid > 0) {
      if (this.#insiders.has(status.ppid)) return true;
      status = processStatus(status.ppid);
    }
    return false;
  }

  /** A holder that has come into the tree, has ended or let go is none any more; others may be behind it. */
  #isKnown(link: string): boolean {
    const holder = this.#known.get(link);
    if (holder === undefined || holder === null) return holder === null;
    return !this.#insiders.has(holder.pid) && holds(holder.pid, link);
  }

  /** Words for the socket with this link at the other end of a connection; searched for once. */
  describe(link: string): string | null {
    const known = this.#described.get(link);
    if (known !== undefined || this.#described.size >= DESCRIBED_MAX) return known ?? null;
    const holder = holdersOf(new Set([link]), [...this.#insiders, process.pid]).get(link);
    const words = holder === undefined ? null : describeFarEnd(holder);
    this.#described.set(link, words);
    return words;
  }

  /** Null when nobody else was seen with it. */
  holder(link: string): Holder | null {
    return this.#known.get(link) ?? null;
  }
}
