/**
 * Whether pipes and sockets of a process or a tree lead out of it: who else holds them. Searching all processes takes
 * milliseconds, so what was found before the stop is remembered; a holder that comes later must be a child or be given
 * the descriptor by the program itself.
 */
import { type Holder, holdersOf } from "../host/descriptor-holders.js";

export class FarEnds {
  readonly #known = new Map<string, Holder | null>();
  #insiders: ReadonlySet<number> = new Set();

  /** Another holder of each of these links (of /proc/PID/fd) than `pids`. */
  look(pids: readonly number[], links: readonly string[]): void {
    const insiders = new Set(pids);
    // Who left the tree since the last look may hold anything of it.
    if ([...this.#insiders].some((pid) => !insiders.has(pid))) this.#known.clear();
    this.#insiders = insiders;
    const unknown = new Set(links.filter((link) => !this.#isKnown(link)));
    const found = holdersOf(unknown, [...pids, process.pid]);
    for (const link of unknown) this.#known.set(link, found.get(link) ?? null);
  }

  /** A holder that has come into the tree is none any more; others may be behind it. */
  #isKnown(link: string): boolean {
    const holder = this.#known.get(link);
    return holder !== undefined && (holder === null || !this.#insiders.has(holder.pid));
  }

  /** Null when nobody else was seen with it. */
  holder(link: string): Holder | null {
    return this.#known.get(link) ?? null;
  }
}
